import CTestSupport
import Glibc
import Synchronization
import XCTest

/// A pipe.
final class TestPipe: Sendable {
    let readEnd: Int32
    let writeEnd: Int32
    private let isWritable = Atomic(true)

    init() throws {
        var ends: [Int32] = [-1, -1]
        let result = ctest_pipe(&ends)
        guard result == 0 else { throw XCTSkip("no pipe to be had: errno \(0 - result)") }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        endInput()
        close(readEnd)
    }

    /// Writes all of the bytes, waiting for a reader if need be.
    func write(_ bytes: [UInt8]) {
        writeAll(bytes, to: writeEnd)
    }

    /// Ends what can be read.
    func endInput() {
        if isWritable.exchange(false, ordering: .sequentiallyConsistent) { close(writeEnd) }
    }

    /// Waits for a byte, for so long that only a hang takes longer.
    ///
    /// - Returns: The byte; nil at the end of the input.
    func next() -> UInt8? {
        var wanted = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, 60_000) == 1 else { return nil }
        var byte: UInt8 = 0
        return Glibc.read(readEnd, &byte, 1) == 1 ? byte : nil
    }

    /// Reads what there is, up to 4096 bytes.
    func read() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(readEnd, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }
}

/// Writes all of the bytes to a descriptor, or as many as it takes before it fails.
func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
