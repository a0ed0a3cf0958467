import Report

extension AdviceRemedies {
    /// What to do, in the command's words.
    static let command = AdviceRemedies { $0.finding.remedy }
}

extension Advice.Finding {
    /// What to do about it.
    var remedy: String {
        switch self {
        case .serialPort: "Linux says less with --append quiet; each byte is an exit or two."
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
        case .haltPolling:
            "To give the time to others, `echo 0 | sudo tee /sys/module/kvm/parameters/halt_poll_ns`."
        }
    }
}
