import CKVM
import Devices
import Glibc
import Host
import MiniVMM
import Report

/// A file that a command writes to.
///
/// A file that is made is written beside its place and put there by ``finish()``: until then, and if the command does
/// not get so far, what was there before stays.
final class OutputFile: Sendable {
    /// The descriptor, which is this object's.
    let descriptor: Int32
    private let name: String
    private let isOwned: Bool
    private let draft: Draft?

    static let standardOutput = OutputFile(STDOUT_FILENO, named: "standard output")
    static let standardError = OutputFile(STDERR_FILENO, named: "standard error")

    private init(_ descriptor: Int32, named name: String) {
        self.descriptor = descriptor
        self.name = name
        isOwned = false
        draft = nil
    }

    /// Begins a file, in place of one that may be there. A pipe or a device is opened as it is.
    ///
    /// - Throws: ``OutputError`` when the file cannot be opened.
    init(creating path: String) throws(OutputError) {
        name = path
        isOwned = true
        if let draft = try Draft(of: path) {
            self.draft = draft
            descriptor = draft.descriptor
        } else {
            draft = nil
            descriptor = unsafe open(
                ForeignText.cString(path), O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0o666)
        }
        guard descriptor >= 0 else { throw .notWritable(name: path, ErrorNumber(rawValue: errno)) }
    }

    /// Opens a file that others read while it is written: it is at its place at once.
    ///
    /// - Throws: ``OutputError`` when the file cannot be opened.
    init(following path: String) throws(OutputError) {
        name = path
        isOwned = true
        draft = nil
        descriptor = unsafe open(
            ForeignText.cString(path), O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .notWritable(name: path, ErrorNumber(rawValue: errno)) }
    }

    /// Begins another file for the same place, after ``finish()``: for one that is replaced again and again. A confined
    /// process can do so that may make files.
    ///
    /// - Throws: ``OutputError`` when the file cannot be made.
    func successor() throws(OutputError) -> OutputFile {
        guard let draft else { return self }
        return try OutputFile(Draft(after: draft), named: name)
    }

    private init(_ draft: Draft, named name: String) throws(OutputError) {
        self.name = name
        isOwned = true
        self.draft = draft
        descriptor = draft.descriptor
        guard descriptor >= 0 else { throw .notWritable(name: name, ErrorNumber(rawValue: 0 &- descriptor)) }
    }

    deinit {
        draft?.discard()
        if isOwned, descriptor >= 0 { close(descriptor) }
    }

    /// The directory that the file will be put into; nil for one that is at its place.
    var directory: Int32? { draft?.directory }

    /// Puts the file at its place. After the last write, once.
    ///
    /// - Throws: ``OutputError`` when the system refuses.
    func finish() throws(OutputError) {
        guard let draft else { return }
        let result = draft.publish()
        guard result >= 0 else { throw .notWritable(name: name, ErrorNumber(rawValue: 0 &- result)) }
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

    /// How much is written at once: as much as a pipe holds.
    private static let partSize = 0x1_0000

    /// Writes all of the bytes.
    ///
    /// - Throws: ``OutputError`` when the file does not take them.
    func write(_ bytes: ArraySlice<UInt8>) throws(OutputError) {
        var written = 0
        while written < bytes.count {
            let result = unsafe bytes.withUnsafeBytes { buffer in
                // In parts, so that a reader who is slow is not taken for one who does not read.
                let part = unsafe buffer[written..<min(buffer.count, written + Self.partSize)]
                return PendingWrites.during {
                    unsafe ckvm_write(descriptor, UnsafeRawBufferPointer(rebasing: part).baseAddress, part.count)
                }
            }
            if result >= 0 {
                written += result
            } else if result != -Int(EINTR) {
                throw .notWritable(name: name, ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- result)))
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
    /// The same file would be written twice, or read and written.
    case sameFile(String, String)
}

extension OutputError: CommandError {
    var explanation: String {
        switch self {
        case .notWritable(let name, let error): "\(name) cannot be written (\(error.name): \(error.description))."
        case .terminal: "Standard output is a terminal, and an image is not text."
        case .sameFile(let output, let other) where output == other: "\(output) would be written twice, or is an input."
        case .sameFile(let output, let other): "\(output) and \(other) are one file."
        }
    }

    var remedy: String {
        switch self {
        case .notWritable: "Check the path, its permissions and the space that is left."
        case .terminal: "Name a file with --output, or redirect standard output."
        case .sameFile: "Give each output a file of its own, which is no input."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .notWritable: .outputNotWritable
        case .terminal, .sameFile: .usage
        }
    }
}

/// Messages for the person who ran the command.
///
/// A message can hold names that somebody else chose. So whatever a terminal would obey is spelled out on its way
/// there, and only the message's own line ends are left.
enum StandardError {
    /// Writes a message, in place of the line about the run. There is nobody to tell when that fails.
    static func write(_ text: String) {
        let file = OutputFile.standardError
        let text = ForeignText.visible(text, keeping: ["\n"])
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
