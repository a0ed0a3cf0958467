/// Whether this host's KVM runs Linux guests, found out by trying an instruction that every Linux kernel uses.
public enum LinuxSupport: Hashable, Sendable {
    /// It does.
    case works
    /// KVM lacks a capability that Linux guests need.
    case missingCapability(Capability)
    /// KVM's emulator, and not the processor, runs ring 0, and it lacks an instruction that Linux needs.
    case emulatesRingZero
    /// The self-test died otherwise.
    case dies(GuestDeath.Cause)
}

extension LinuxSupport {
    /// Whether Linux guests boot.
    public var isComplete: Bool { self == .works }

    /// Why Linux guests do not boot, as a clause; nil when they do.
    public var obstacle: String? {
        switch self {
        case .works:
            nil
        case .missingCapability(let capability):
            "this KVM lacks \(capability.name)"
        case .emulatesRingZero:
            "this KVM emulates ring 0 instead of letting the processor run it, and its emulator lacks instructions "
                + "that Linux needs, such as CMPXCHG16B"
        case .dies(let cause):
            "the self-test in 64-bit mode died of \(cause.summary)"
        }
    }

    /// Whether Linux guests boot, and if not why, in a sentence.
    public var verdict: String {
        obstacle.map { "Linux guests cannot boot here, because \($0)." } ?? "Linux guests boot here."
    }

    /// What to do about it; nil when nothing is to be done.
    public var remedy: String? {
        switch self {
        case .works: nil
        case .missingCapability: "Run a newer kernel."
        case .emulatesRingZero: "Use a host with kvm_intel or kvm_amd; flat guests run here as well."
        case .dies: "Look at `dmesg | tail`, and use another host."
        }
    }
}
