import Host
import MiniVMM

extension MachineError: CommandError {
    var remedy: String { "Make another machine for the guest." }

    var exitStatus: ExitStatus { .internalFault }
}

extension CPUCountError: CommandError {
    var remedy: String {
        switch self {
        case .outOfRange(_, let maximum): "Choose a --cpus from 1 to \(maximum)."
        }
    }

    var exitStatus: ExitStatus { .usage }
}

extension LinuxSupport {
    /// What to do about it; nil when nothing is to be done.
    var remedy: String? {
        switch self {
        case .works: nil
        case .missingCapability: "Run a newer kernel."
        case .emulatesRingZero:
            "Use a host with kvm_intel or kvm_amd; flat guests run here as well, and --force tries Linux all the same."
        case .dies: "Look at `dmesg | tail`, and use another host; --force tries Linux all the same."
        }
    }
}

extension LinuxSupportError: CommandError {
    var remedy: String {
        switch self {
        case .cannotBoot(let support): support.remedy ?? "Try it with --force."
        }
    }

    var exitStatus: ExitStatus { .kvmUnavailable }
}

extension SiteTrapError: CommandError {
    var remedy: String {
        switch self {
        case .notCPUID: "Give --cpuid-site the address of the instruction's byte 0F, or use --cpuid-trap step."
        case .tooManySites: "Use --cpuid-trap patch or step, or name up to four addresses with --cpuid-site."
        case .noFreePort: "Use --cpuid-trap debug or step."
        case .notForFlatGuests: "Use --cpuid-trap auto, debug, patch, step or none."
        case .notForLinuxGuests: "Use --cpuid-trap auto, fault or none."
        case .notSupported: "Use --cpuid-trap auto; `minivmm doctor` lists what works here."
        case .notWithDebugger: "Use --cpuid-trap auto, patch, fault or none with --gdb."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .notCPUID, .tooManySites, .noFreePort, .notForFlatGuests, .notForLinuxGuests, .notWithDebugger: .usage
        case .notSupported: .kvmUnavailable
        }
    }
}
