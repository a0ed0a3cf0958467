import Host
import Tracepoints

extension TracepointError: CommandError {
    var remedy: String {
        switch self {
        case .notPermitted(_, _, let obstacle): obstacle.remedy
        case .noTraceFileSystem(.notPermitted), .noTraceFileSystem(.accessDenied):
            "Run as root, or with `--exits user`, which needs nothing."
        case .noTraceFileSystem(.notImplemented):
            "Mount it with `sudo mount -t tracefs tracefs /sys/kernel/tracing`, and run as root."
        case .noTraceFileSystem: "Run a kernel that was built with CONFIG_FTRACE, as distributions' are."
        case .noTracepoint: "Run a kernel that was built with CONFIG_FTRACE and CONFIG_KVM, as distributions' are."
        case .doesNotCount: "Use `--exits user`, or `--exits total` for KVM's own number."
        case .noTypes: "Run as root, or a kernel that was built with CONFIG_DEBUG_INFO_BTF."
        case .refused(_, .notImplemented): "Run a kernel that was built with CONFIG_BPF_SYSCALL."
        case .noRoomForTrace: "Keep fewer exits with `--trace-events`, or leave out `--trace-kernel`."
        case .unknownRecord, .refused, .rejected: "Use `--exits user`, and report it with the kernel's version."
        }
    }

    var exitStatus: ExitStatus {
        if case .noRoomForTrace = self { return .systemRefused }
        return .kvmUnavailable
    }
}

extension PermissionObstacle {
    /// What to do about it.
    var remedy: String {
        switch self {
        case .capabilities(let missing) where missing.contains(.systemAdministration):
            "Run as root, or with `--exits user`, which needs nothing."
        case .capabilities:
            """
            Run `sudo setcap cap_bpf,cap_perfmon+ep "$(command -v minivmm)"` once, or run as root; `--exits user` \
            needs nothing.
            """
        case .userNamespace: "Run outside of the container or user namespace; `--exits user` works inside as well."
        case .lockdown: "Boot the kernel without lockdown=confidentiality; `--exits user` works all the same."
        case .perfEventParanoid: "Run `sudo sysctl kernel.perf_event_paranoid=2`, or run as root."
        case .systemCallFilter:
            "Run outside of the container, or let its filter pass bpf(2); `--exits user` works inside as well."
        case .unknown: "Run as root; `--exits user` needs nothing."
        }
    }
}
