import CKVM

/// A capability of a process, see capabilities(7). The value is its number.
public enum ProcessCapability: Int, Hashable, Sendable {
    /// CAP_SYS_ADMIN, which stands for the two others.
    case systemAdministration = 21
    /// CAP_PERFMON, since Linux 5.8: programs that read the kernel's memory, and events of all processes.
    case performanceMonitoring = 38
    /// CAP_BPF, since Linux 5.8: maps and programs.
    case bpf = 39

    /// Its name, such as `CAP_BPF`.
    public var name: String {
        switch self {
        case .systemAdministration: "CAP_SYS_ADMIN"
        case .performanceMonitoring: "CAP_PERFMON"
        case .bpf: "CAP_BPF"
        }
    }

    func isIn(_ set: UInt64) -> Bool { set >> rawValue & 1 == 1 }
}

/// Why the kernel does not let this process run programs at tracepoints, as far as the kernel shows it.
public enum PermissionObstacle: Hashable, Sendable {
    /// The process lacks capabilities.
    case capabilities([ProcessCapability])
    /// It has them in a namespace of users of its own alone, where they do not count.
    case userNamespace
    /// The kernel is locked down, so that nobody reads its memory.
    case lockdown
    /// kernel.perf_event_paranoid forbids it without CAP_SYS_ADMIN.
    case perfEventParanoid(Int)
    /// A filter of system calls is in force, as containers have one.
    case systemCallFilter
    /// Nothing of these.
    case unknown

    /// What a process has and where it runs: all that the obstacle is told from.
    struct Evidence {
        var capabilities: UInt64
        /// The greatest number of a capability that the kernel has.
        var lastCapability: Int
        var isInUserNamespace: Bool
        var lockdown: String
        var perfEventParanoid: Int
        var hasSystemCallFilter: Bool
    }

    /// What the obstacle is.
    ///
    /// - Parameters:
    ///   - isPerfEvent: Whether it was perf_event_open(2) that was refused, and not bpf(2).
    ///   - evidence: What the kernel shows.
    init(isPerfEvent: Bool, _ evidence: Evidence) {
        let set = evidence.capabilities
        let isAdministrator = ProcessCapability.systemAdministration.isIn(set)
        let needed: [ProcessCapability] =
            evidence.lastCapability >= ProcessCapability.bpf.rawValue
            ? [.bpf, .performanceMonitoring] : [.systemAdministration]
        let missing = isAdministrator ? [] : needed.filter { !$0.isIn(set) }
        if !missing.isEmpty {
            self = .capabilities(missing)
        } else if evidence.isInUserNamespace {
            self = .userNamespace
        } else if isPerfEvent && !isAdministrator && evidence.perfEventParanoid > Self.paranoidWithoutCapability {
            self = .perfEventParanoid(evidence.perfEventParanoid)
        } else if evidence.lockdown.contains("[confidentiality]") {
            self = .lockdown
        } else {
            self = evidence.hasSystemCallFilter ? .systemCallFilter : .unknown
        }
    }

    /// The greatest value that stock kernels know. Debian's 3 and 4 refuse CAP_PERFMON as well.
    static let paranoidWithoutCapability = 2

    /// What keeps this process from it.
    static func current(isPerfEvent: Bool) -> PermissionObstacle {
        PermissionObstacle(isPerfEvent: isPerfEvent, .current)
    }

    /// The obstacle as a clause that follows the error.
    var clause: String? {
        switch self {
        case .capabilities(let missing): "it lacks " + missing.map(\.name).joined(separator: " and ")
        case .userNamespace: "its capabilities are those of a user namespace"
        case .lockdown: "the kernel is locked down"
        case .perfEventParanoid(let value): "kernel.perf_event_paranoid is \(value)"
        case .systemCallFilter: "a filter of system calls is in force"
        case .unknown: nil
        }
    }
}

extension PermissionObstacle.Evidence {
    /// The inode of the initial namespace of users. Source: Linux, include/linux/proc_ns.h, PROC_USER_INIT_INO.
    private static let initialNamespace: UInt64 = 0xEFFF_FFFD

    /// That of this process. What cannot be read counts as no obstacle.
    static var current: Self {
        var capabilities: UInt64 = 0
        var namespace = initialNamespace
        let known = unsafe ckvm_effective_capabilities(&capabilities) >= 0
        _ = unsafe ckvm_user_namespace(&namespace)
        return Self(
            capabilities: known ? capabilities : .max,
            lastCapability: number("/proc/sys/kernel/cap_last_cap") ?? ProcessCapability.bpf.rawValue,
            isInUserNamespace: namespace != initialNamespace,
            lockdown: text("/sys/kernel/security/lockdown"),
            perfEventParanoid: number("/proc/sys/kernel/perf_event_paranoid") ?? 0,
            hasSystemCallFilter: text("/proc/self/status").split(separator: "\n").contains("Seccomp:\t2"))
    }

    private static func text(_ path: String) -> String {
        String(decoding: SmallFile.read(path) ?? [], as: UTF8.self)
    }

    private static func number(_ path: String) -> Int? {
        Int(text(path).filter { $0.isNumber || $0 == "-" })
    }
}
