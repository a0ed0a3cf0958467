import MiniVMM

/// Why output did not get where it was to go.
enum OutputError: Error {
    /// The file cannot be opened or written.
    case notWritable(name: String, ErrorNumber)
    /// Binary output would go to a terminal.
    case terminal
}

extension OutputError: DiagnosticError {
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
