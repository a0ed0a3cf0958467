import Glibc
import MiniVMM

/// A file that a command reads.
enum InputFile {
    /// More than any report has.
    private static let greatestSize = 1 << 28
    private static let chunkSize = 1 << 16

    /// All bytes of a file.
    ///
    /// - Throws: ``InputError``.
    static func read(_ path: String) throws(InputError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .notReadable(path: path, ErrorNumber(rawValue: errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: chunkSize)
        while bytes.count <= greatestSize {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count > 0 {
                bytes += chunk[..<count]
            } else if errno != EINTR {
                throw .notReadable(path: path, ErrorNumber(rawValue: errno))
            }
        }
        throw .tooLarge(path: path)
    }
}
