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
    var clause: String { explanation.hasSuffix(".") ? String(explanation.dropLast()) : explanation }
}
