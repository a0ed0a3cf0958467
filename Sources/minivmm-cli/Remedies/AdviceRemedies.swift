import Counters
import Report

extension AdviceRemedies {
    /// What to do, in the command's words.
    static let command = AdviceRemedies { $0.finding.remedy }
}

extension Advice.Finding {
    /// What to do about it.
    var remedy: String {
        switch self {
        case .serialPort:
            "Linux says less with --append quiet; --console virtio takes a fifth of the exits of a KiB, or less."
        case .busyPort: "INS and OUTS move many values in one exit."
        case .missingPort, .missingPage: "Leave the driver that looks for it out of the guest."
        case .localAPICByMMIO: "Let the guest use x2APIC: Linux does, unless `nox2apic` is on its command line."
        case .timer: "Fewer ticks help: a tickless kernel (nohz=on), or one with a lower CONFIG_HZ."
        case .programCPUIDs:
            "Starting a program costs some; --cpuid-trap none leaves them to KVM, and the counter leaves zero."
        case .hostInterrupts: "Keep vCPUs with --pin on processors that have little else to do."
        case .nestedPageFaults:
            "Huge pages take fewer: `echo always | sudo tee /sys/kernel/mm/transparent_hugepage/enabled`."
        case .shadowPaging: "Load kvm_intel with ept=1, or kvm_amd with npt=1, where the processor has it."
        case .emulatedInstructions:
            "Real mode is emulated without unrestricted guests; `minivmm doctor` says what this KVM does."
        case .singleSteps: "Name the CPUIDs with --cpuid-site, for --cpuid-trap debug or patch."
        case .smallRequests(let kind, _, _): kind.remedyForSmallRequests
        case .notificationsByExit: "Without --notify exit, KVM carries them to the device where it can."
        case .haltPolling:
            "To give the time to others, `echo 0 | sudo tee /sys/module/kvm/parameters/halt_poll_ns`."
        }
    }
}

extension DeviceActivity.Kind {
    /// What to do about requests that move little. The figures are those of Benchmarks/README.md.
    fileprivate var remedyForSmallRequests: String {
        switch self {
        case .console, .entropy:
            "In raw mode (`stty raw`) Linux writes up to 2 KiB at once: a KiB is 1.5 exits, not a hundred."
        case .disk: "Read and write more at once: with 64 KiB a KiB is 0.03 exits, with 4 KiB 0.5."
        case .network:
            "Larger frames take fewer, 0.08 exits a KiB instead of 2: more in a write, an MTU of up to 65520 with "
                + "--net user, and segmentation offload (`ethtool -K eth0 tso on`) at a TAP interface."
        case .share:
            "Read and write more at once: with 128 KiB a KiB is 0.02 exits, with 4 KiB 0.5. Many small files are better "
                + "off on a --disk, which the guest caches by itself."
        }
    }
}
