/// Why the guest's console goes nowhere.
public enum ConsoleError: Error, Hashable, Sendable {
    /// What the guest says cannot be written: nobody reads it any more, the disk is full.
    case notWritable(ErrorNumber)
}

extension ConsoleError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notWritable(let error):
            "The guest's console output cannot be written (\(error.name): \(error.description))."
        }
    }

    public var remedy: String {
        "Check where standard output goes: whether its reader still runs, or what space is left."
    }

    public var exitStatus: ExitStatus { .outputNotWritable }
}
