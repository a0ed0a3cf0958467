/// Why vCPUs cannot be kept on the host's CPUs that were asked for.
public enum CPUPinningError: Error, Hashable, Sendable {
    /// The host has no such CPU, or this process may not use it.
    case notUsable(cpu: Int, usable: CPUList)
    /// The system refused to keep a thread on a CPU, or, where the CPU is nil, to say which CPUs there are.
    case refused(cpu: Int?, ErrorNumber)
}

extension CPUPinningError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notUsable(let cpu, _):
            "This host has no CPU \(cpu) that this process may use."
        case .refused(let cpu?, let error):
            "The system refused to keep a vCPU on CPU \(cpu) (\(error.name): \(error.description))."
        case .refused(nil, let error):
            "The system does not tell which CPUs there are (\(error.name): \(error.description))."
        }
    }

    public var remedy: String {
        switch self {
        case .notUsable(_, let usable): "Choose from \(usable) with --pin."
        case .refused: "Run without --pin."
        }
    }

    public var exitStatus: ExitStatus {
        switch self {
        case .notUsable: .usage
        case .refused: .systemRefused
        }
    }
}
