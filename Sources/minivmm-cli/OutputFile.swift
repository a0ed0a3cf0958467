import Glibc
import MiniVMM

/// A file that a command writes to.
final class OutputFile: Sendable {
    /// The descriptor, which is this object's.
    let descriptor: Int32
    private let name: String
    private let isOwned: Bool

    static let standardOutput = OutputFile(STDOUT_FILENO, named: "standard output")
    static let standardError = OutputFile(STDERR_FILENO, named: "standard error")

    private init(_ descriptor: Int32, named name: String) {
        self.descriptor = descriptor
        self.name = name
        isOwned = false
    }

    /// Creates or empties a file.
    ///
    /// - Throws: ``OutputError`` when the file cannot be opened.
    init(creating path: String) throws(OutputError) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        name = path
        isOwned = true
        guard descriptor >= 0 else { throw .notWritable(name: path, ErrorNumber(rawValue: errno)) }
    }

    deinit {
        if isOwned, descriptor >= 0 { close(descriptor) }
    }

    /// Whether a person reads along.
    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// How text is emphasized here: not at all unless a terminal shows it to a person who has nothing against colors.
    ///
    /// Source: https://no-color.org for NO_COLOR.
    var textStyle: TextStyle {
        func isSet(_ name: String) -> Bool { getenv(name).map { $0.pointee != 0 } ?? false }
        // Sound: getenv returns null or a string that ends with a zero.
        let isDumb = getenv("TERM").map { strcmp($0, "dumb") == 0 } ?? true
        return isTerminal && !isDumb && !isSet("NO_COLOR") ? .colored : .plain
    }

    /// Writes all of the bytes.
    ///
    /// - Throws: ``OutputError`` when the file does not take them.
    func write(_ bytes: [UInt8]) throws(OutputError) {
        try write(bytes[...])
    }

    /// Writes all of the bytes.
    ///
    /// - Throws: ``OutputError`` when the file does not take them.
    func write(_ bytes: ArraySlice<UInt8>) throws(OutputError) {
        var written = 0
        while written < bytes.count {
            let result = bytes.withUnsafeBytes { buffer in
                Glibc.write(descriptor, buffer.baseAddress.map { $0 + written }, buffer.count - written)
            }
            if result >= 0 {
                written += result
            } else if errno != EINTR {
                throw .notWritable(name: name, ErrorNumber(rawValue: errno))
            }
        }
    }
}
