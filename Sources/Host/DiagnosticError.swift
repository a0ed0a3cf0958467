/// An error that can be shown to the person who ran MiniVMM: what happened, what to do about it, and the exit status
/// that a command should end with.
public protocol DiagnosticError: Error, CustomStringConvertible {
    /// One sentence that says what happened, with the path, ioctl or number, and the error number's name.
    var explanation: String { get }

    /// One sentence that says what to do about it.
    var remedy: String { get }

    /// The exit status of a command that fails with this error.
    var exitStatus: ExitStatus { get }
}

extension DiagnosticError {
    /// The explanation and the remedy.
    public var description: String { "\(explanation) \(remedy)" }

    /// The explanation without its full stop, to be put into another sentence.
    package var clause: String { explanation.hasSuffix(".") ? String(explanation.dropLast()) : explanation }
}

/// The exit statuses of the `minivmm` command.
///
/// Those from 64 to 78 are those of sysexits.h; 124 is what timeout(1) uses, and 128 plus a signal's number is what
/// shells report.
public struct ExitStatus: RawRepresentable, Hashable, Sendable {
    /// The status, as exit(3) takes it.
    public let rawValue: Int32

    /// Wraps a status, as exit(3) takes it.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The guest ended well.
    public static let success = ExitStatus(rawValue: 0)
    /// The guest died: triple fault, an interrupt vector that nobody handles, an instruction that KVM cannot emulate.
    public static let guestDied = ExitStatus(rawValue: 1)
    /// The command line is wrong (EX_USAGE).
    public static let usage = ExitStatus(rawValue: 64)
    /// The image is not acceptable (EX_DATAERR).
    public static let imageNotAcceptable = ExitStatus(rawValue: 65)
    /// The image cannot be read (EX_NOINPUT).
    public static let imageNotReadable = ExitStatus(rawValue: 66)
    /// There is no usable KVM (EX_UNAVAILABLE).
    public static let kvmUnavailable = ExitStatus(rawValue: 69)
    /// A fault of MiniVMM itself (EX_SOFTWARE).
    public static let internalFault = ExitStatus(rawValue: 70)
    /// The system refused memory or threads (EX_OSERR).
    public static let systemRefused = ExitStatus(rawValue: 71)
    /// A file could not be written (EX_IOERR).
    public static let outputNotWritable = ExitStatus(rawValue: 74)
    /// `--timeout` ended the run.
    public static let timeout = ExitStatus(rawValue: 124)

    /// The run was ended by a signal, as shells report it: 128 plus the signal's number.
    public static func signal(_ number: Int32) -> ExitStatus {
        ExitStatus(rawValue: 128 &+ (number & 0x7f))
    }
}
