/// Why a machine cannot have as many vCPUs as were asked for.
public enum CPUCountError: Error, Hashable, Sendable {
    /// More than this host's KVM, or the interrupt controllers, know; or none.
    case outOfRange(Int, greatest: Int)
}

extension CPUCountError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .outOfRange(let count, _): "A machine cannot have \(count) vCPUs here."
        }
    }

    public var remedy: String {
        switch self {
        case .outOfRange(_, let greatest): "Choose a --cpus from 1 to \(greatest)."
        }
    }

    public var exitStatus: ExitStatus { .usage }
}
