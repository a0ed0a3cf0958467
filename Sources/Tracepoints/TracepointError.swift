public import Host

/// Why KVM's tracepoints cannot be used.
public enum TracepointError: Error, Hashable, Sendable {
    /// The kernel does not let this process run eBPF programs: which call failed, and what is in the way.
    case notPermitted(call: String, ErrorNumber, PermissionObstacle)
    /// The description of tracepoints cannot be had (tracefs).
    case noTraceFileSystem(ErrorNumber)
    /// This kernel's KVM lacks a tracepoint.
    case noTracepoint(String)
    /// A tracepoint's record lacks a field, or has it in another form.
    case unknownRecord(tracepoint: String, field: String)
    /// The kernel does not tell where its structures have their members (BTF).
    case noTypes
    /// The kernel refused what is not a matter of permission: which call, and why.
    case refused(call: String, ErrorNumber)
    /// The system has no memory for as many exits, one by one, of so many threads.
    case noRoomForTrace(events: Int, threads: Int, ErrorNumber)
    /// The kernel's verifier rejects a program: its name, and the verifier's last words.
    case rejected(program: String, reason: String)
    /// The tracepoints are there and do not fire: so many exits were made, and so many seen.
    case doesNotCount(expected: Int, seen: UInt64)
}

extension TracepointError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notPermitted(let call, let error, let obstacle):
            "This process may not run programs at KVM's tracepoints (\(call): \(error.name))"
                + (obstacle.clause.map { ": \($0)." } ?? ".")
        case .noTraceFileSystem(let error):
            "The kernel's description of its tracepoints cannot be read (tracefs: \(error.name))."
        case .noTracepoint(let name): "This kernel has no tracepoint kvm:\(name)."
        case .unknownRecord(let tracepoint, let field):
            "The tracepoint kvm:\(tracepoint) has no field \(field) of the known form."
        case .noTypes: "This kernel does not describe its types (/sys/kernel/btf)."
        case .refused(let call, let error): "\(call) failed (\(error.name): \(error.description))."
        case .noRoomForTrace(let events, let threads, let error):
            """
            The system refused the memory for \(events) exits that KVM settles of \
            \(threads == 1 ? "a vCPU" : "each of \(threads) vCPUs") (\(error.name)).
            """
        case .rejected(let program, let reason):
            "The kernel's verifier rejects the program for kvm:\(program): \(reason)."
        case .doesNotCount(let expected, let seen):
            """
            KVM's tracepoints do not tell of exits here: of \(expected) CPUIDs that a guest ran they \
            told of \(seen == 0 ? "none" : String(seen)).
            """
        }
    }

    /// Whether more rights would mend it.
    package var isPermission: Bool {
        switch self {
        case .notPermitted, .noTraceFileSystem(.notPermitted), .noTraceFileSystem(.accessDenied): true
        default: false
        }
    }
}
