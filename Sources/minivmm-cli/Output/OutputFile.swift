import Devices
import Glibc
import Host
import MiniVMM
import Report

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
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
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
        func isSet(_ name: String) -> Bool { unsafe getenv(name).map { unsafe $0.pointee != 0 } ?? false }
        // Sound: getenv returns null or a string that ends with a zero.
        let isDumb = unsafe getenv("TERM").map { unsafe strcmp($0, "dumb") == 0 } ?? true
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
            let result = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + written }, buffer.count - written)
            }
            if result >= 0 {
                written += result
            } else if errno != EINTR {
                throw .notWritable(name: name, ErrorNumber(rawValue: errno))
            }
        }
    }
}

/// Why output did not get where it was to go.
enum OutputError: Error {
    /// The file cannot be opened or written.
    case notWritable(name: String, ErrorNumber)
    /// Binary output would go to a terminal.
    case terminal
}

extension OutputError: CommandError {
    var explanation: String {
        switch self {
        case .notWritable(let name, let error): "\(name) cannot be written (\(error.name): \(error.description))."
        case .terminal: "Standard output is a terminal, and an image is not text."
        }
    }

    var remedy: String {
        switch self {
        case .notWritable: "Check the path, its permissions and the space that is left."
        case .terminal: "Name a file with --output, or redirect standard output."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .notWritable: .outputNotWritable
        case .terminal: .usage
        }
    }
}

/// Messages for the person who ran the command.
enum StandardError {
    /// Writes a message, in place of the line about the run. There is nobody to tell when that fails.
    static func write(_ text: String) {
        let file = OutputFile.standardError
        let shown = Terminal.isRaw && file.isTerminal ? Terminal.raw(text) : text
        LiveStatus.line.makeWay(forTextEndingIn: shown.utf8.last) { try? file.write(Array(shown.utf8)) }
    }
}

extension StandardError {
    /// The same for what writes to a stream.
    struct Stream: TextOutputStream, Sendable {
        func write(_ text: String) {
            StandardError.write(text)
        }
    }
}

/// Standard input, output and error.
enum StandardDescriptors {
    /// Fills the places of those that are closed, so that no file that is opened later comes there: the guest's output
    /// would go into it.
    ///
    /// They stay as useless as they were: input can only be written to, and the others only be read from.
    static func fill() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest number that is free, which is this one, because the ones before it have been filled. Without
            // /dev/null there is nothing to be done.
            _ = unsafe open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }
}
