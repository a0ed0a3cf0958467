import Host

/// An error as the command shows it: with what to do about it, in terms of the command's options, and the exit status
/// that it ends with.
protocol CommandError: DiagnosticError {
    /// One sentence that says what to do about it.
    var remedy: String { get }

    /// The exit status of a command that fails with this error.
    var exitStatus: ExitStatus { get }
}

/// The exit statuses of the `minivmm` command.
///
/// Those from 64 to 78 are those of sysexits.h; 124 is what timeout(1) uses, and 128 plus a signal's number is what
/// shells report.
struct ExitStatus: RawRepresentable, Hashable, Sendable {
    /// The status, as exit(3) takes it.
    let rawValue: Int32

    /// Wraps a status, as exit(3) takes it.
    init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The guest ended well.
    static let success = ExitStatus(rawValue: 0)
    /// The guest died: triple fault, an interrupt vector that nobody handles, an instruction that KVM cannot emulate.
    static let guestDied = ExitStatus(rawValue: 1)
    /// The same, where 1 is a test program's success.
    static let testDied = ExitStatus(rawValue: 2)
    /// A comparison broke a rule.
    static let ruleBroken = ExitStatus(rawValue: 3)
    /// The command line is wrong (EX_USAGE).
    static let usage = ExitStatus(rawValue: 64)
    /// The image is not acceptable (EX_DATAERR).
    static let imageNotAcceptable = ExitStatus(rawValue: 65)
    /// The image cannot be read (EX_NOINPUT).
    static let imageNotReadable = ExitStatus(rawValue: 66)
    /// There is no usable KVM (EX_UNAVAILABLE).
    static let kvmUnavailable = ExitStatus(rawValue: 69)
    /// A fault of MiniVMM itself (EX_SOFTWARE).
    static let internalFault = ExitStatus(rawValue: 70)
    /// The system refused memory or threads (EX_OSERR).
    static let systemRefused = ExitStatus(rawValue: 71)
    /// A file could not be written (EX_IOERR).
    static let outputNotWritable = ExitStatus(rawValue: 74)
    /// `--timeout` ended the run.
    static let timeout = ExitStatus(rawValue: 124)

    /// The run was ended by a signal, as shells report it: 128 plus the signal's number.
    static func signal(_ number: Int32) -> ExitStatus {
        ExitStatus(rawValue: 128 &+ (number & 0x7f))
    }
}

extension ExitStatus {
    /// The program to run is there, and cannot be executed; as shells report it.
    static let programNotExecutable = ExitStatus(rawValue: 126)
    /// There is no such program to run; as shells report it.
    static let programNotFound = ExitStatus(rawValue: 127)
}
