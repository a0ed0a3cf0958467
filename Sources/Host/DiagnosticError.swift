/// An error that can be shown to a person: what happened. What to do about it is for the program to say that shows it.
public protocol DiagnosticError: Error, CustomStringConvertible {
    /// One sentence that says what happened, with the path, ioctl or number, and the error number's name.
    var explanation: String { get }
}

extension DiagnosticError {
    /// The explanation.
    public var description: String { explanation }

    /// The explanation without its full stop, to be put into another sentence.
    package var clause: String { explanation.hasSuffix(".") ? String(explanation.dropLast()) : explanation }
}
