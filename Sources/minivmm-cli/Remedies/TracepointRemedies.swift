import Host
import Tracepoints

extension TracepointError: CommandError {
    var remedy: String {
        switch self {
        case .notPermitted:
            "Run as root, or give the program `setcap cap_bpf,cap_perfmon+ep`; `--exits user` needs nothing."
        case .noTraceFileSystem:
            "Run as root, or mount it: `mount -t tracefs none /sys/kernel/tracing`; `--exits user` does without."
        case .noTracepoint, .doesNotCount: "Use `--exits user` or `--exits total` on this host."
        case .noTypes: "Run as root, or a kernel that was built with CONFIG_DEBUG_INFO_BTF."
        case .unknownRecord, .refused, .rejected: "Use `--exits user`, and report it with the kernel's version."
        }
    }

    var exitStatus: ExitStatus { .kvmUnavailable }
}
