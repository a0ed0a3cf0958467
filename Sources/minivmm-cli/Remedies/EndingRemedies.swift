import Counters
import Host

extension RunEnding {
    /// The exit status of a command that ran the guest.
    var exitStatus: ExitStatus {
        switch self {
        case .halted, .poweredOff, .reset, .stopped: .success
        case .exitPort(let value), .programExited(let value): ExitStatus(rawValue: Int32(value))
        case .panicked: .guestDied
        case .died(let death): death.cause.exitStatus
        case .timeout: .timeout
        case .signal(let number), .programKilled(let number): .signal(number)
        case .failed(let error): Diagnostics.exitStatus(of: error)
        }
    }
}

extension GuestDeath {
    /// What to do about it.
    var remedy: String {
        if case .tripleFault = cause, state == nil {
            return """
                An exception struck while its handlers were missing or broken. This host's processor does not keep \
                the registers at a triple fault; what the guest did last, `--trace FILE` shows.
                """
        }
        guard isRingZeroEmulated, case .emulationFailure = cause else { return cause.remedy }
        return """
            This KVM emulates ring 0 instead of letting the processor run it, and its emulator lacks that \
            instruction: avoid it, or use a host with kvm_intel or kvm_amd. See `minivmm doctor`.
            """
    }
}

extension GuestDeath.Cause {
    /// What to do about it.
    var remedy: String {
        switch self {
        case .tripleFault:
            "Look at the registers and code below; an exception struck while its handlers were missing or broken."
        case .unhandledVector(_, at: nil):
            "Look at SS and RSP below: what the interrupt pushed there is lost, and with it the address where it struck."
        case .unhandledVector, .unhandledInterrupt:
            "Install a handler for the vector, or look at the code at that address."
        case .emulationFailure:
            """
            Avoid the instruction here, or use a host whose processor runs the guest itself; `minivmm doctor` says \
            which KVM this is.
            """
        case .codeOutsideMemory:
            "Look for what led there: a jump, call or return to a wrong address, or code without an end."
        case .internalError, .failEntry:
            "Look at the registers below and at `dmesg | tail`; `minivmm doctor` says which KVM this is."
        case .crashEvent:
            "Look at the guest's console."
        case .unexpectedExit:
            "Report it to the MiniVMM project with the kernel's version; no guest should be able to cause it."
        }
    }

    /// The exit status of a command that ran the guest.
    var exitStatus: ExitStatus {
        switch self {
        case .unexpectedExit: .internalFault
        default: .guestDied
        }
    }
}
