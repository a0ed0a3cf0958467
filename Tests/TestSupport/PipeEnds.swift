import Glibc
import MiniVMM

/// A pipe(2), whose ends are closed when they are done with.
final class PipeEnds {
    private(set) var reader: Int32
    private(set) var writer: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        _ = try ProcessError.check("pipe", pipe(&ends))
        reader = ends[0]
        writer = ends[1]
        // Not for the programs that are started, which would keep the pipe open.
        for end in ends { _ = try ProcessError.check("fcntl", fcntl(end, F_SETFD, FD_CLOEXEC)) }
    }

    deinit {
        closeReader()
        closeWriter()
    }

    func closeReader() {
        if reader >= 0 { close(reader) }
        reader = -1
    }

    func closeWriter() {
        if writer >= 0 { close(writer) }
        writer = -1
    }

    /// Writes into the pipe until it takes no more: the next one to write waits for a reader.
    func fill() throws {
        let flags = try ProcessError.check("fcntl", fcntl(writer, F_GETFL))
        _ = try ProcessError.check("fcntl", fcntl(writer, F_SETFL, flags | O_NONBLOCK))
        let page = [UInt8](repeating: UInt8(ascii: "."), count: 4096)
        for size in [page.count, 1] {
            while write(writer, page, size) > 0 {}
        }
        _ = try ProcessError.check("fcntl", fcntl(writer, F_SETFL, flags))
    }
}
