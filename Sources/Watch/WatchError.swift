public import Host
public import Tracepoints

/// Why a process cannot be watched.
public enum WatchError: Error, Hashable, Sendable {
    /// There is no process with this number.
    case noSuchProcess(Int32)
    /// What the process has open cannot be looked at.
    case notPermitted(process: Int32, ErrorNumber)
    /// The process has no vCPUs.
    case noVCPUs(process: Int32, name: String)
    /// The kernel's tracepoints cannot be used.
    case tracepoints(TracepointError)
}

extension WatchError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .noSuchProcess(let process): "There is no process \(process)."
        case .notPermitted(let process, let error):
            "This user may not look at what process \(process) has open (/proc/\(process)/fd: \(error.name))."
        case .noVCPUs(let process, let name): "Process \(process) (\(name)) has no vCPUs (no KVM virtual machine)."
        case .tracepoints(let error): error.explanation
        }
    }
}
