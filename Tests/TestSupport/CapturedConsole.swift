import Glibc
@testable import Host
@testable import KVM

/// A nameless file that takes a guest's console output.
final class CapturedConsole {
    let descriptor: Int32
    private let file: UnsafeMutablePointer<FILE>

    init() throws {
        guard let file = tmpfile() else { throw KVMError.ioctl(name: "tmpfile", ErrorNumber(rawValue: errno)) }
        self.file = file
        descriptor = fileno(file)
    }

    deinit {
        fclose(file)
    }

    /// What was written so far.
    var text: String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(bytes.count))
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
