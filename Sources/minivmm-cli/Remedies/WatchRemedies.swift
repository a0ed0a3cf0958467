import Host
import Tracepoints
import Watch

extension WatchError: CommandError {
    var remedy: String {
        switch self {
        case .noSuchProcess: "See `pgrep -a qemu`, or `ps`, for the number."
        case .notPermitted:
            """
            Run as root, or as the process's user, or once `sudo setcap \
            cap_sys_ptrace,cap_dac_read_search,cap_bpf,cap_perfmon+ep "$(command -v minivmm)"`.
            """
        case .noVCPUs: "Name the process whose threads run the guest, when the guest has started."
        case .tracepoints(let error): Self.remedy(for: error)
        }
    }

    /// Without the tracepoints there is nothing to be seen of another process.
    private static func remedy(for error: TracepointError) -> String {
        switch error {
        case .notPermitted(_, _, let obstacle): remedy(for: obstacle)
        case .noTraceFileSystem(.notPermitted), .noTraceFileSystem(.accessDenied): "Run as root."
        case .doesNotCount: "Watch on a host whose kvm_intel or kvm_amd runs its guests on the processor itself."
        case .noTraceFileSystem, .noTracepoint, .noTypes, .refused(_, .notImplemented), .noRoomForTrace: error.remedy
        case .unknownRecord, .refused, .rejected: "Report it to the MiniVMM project with the kernel's version."
        }
    }

    private static func remedy(for obstacle: PermissionObstacle) -> String {
        switch obstacle {
        case .capabilities(let missing) where !missing.contains(.systemAdministration):
            "Run `sudo setcap cap_bpf,cap_perfmon+ep \"$(command -v minivmm)\"` once, or run as root."
        case .capabilities, .unknown: "Run as root."
        case .userNamespace: "Run outside of the container or user namespace."
        case .lockdown: "Boot the kernel without lockdown=confidentiality."
        case .perfEventParanoid: obstacle.remedy
        case .systemCallFilter: "Run outside of the container, or let its filter pass bpf(2)."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .noSuchProcess, .notPermitted: .imageNotReadable
        case .noVCPUs: .imageNotAcceptable
        case .tracepoints(let error): error.exitStatus
        }
    }
}
