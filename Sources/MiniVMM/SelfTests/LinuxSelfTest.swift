import Boot
import CKVM
public import Counters
public import Host
public import KVM
import Memory

/// Finds out whether this host's KVM runs ring 0 as Linux needs it, by running two instructions in 64-bit mode in a
/// throw-away virtual machine.
///
/// KVM's capabilities do not tell: one that emulates ring 0 answers like any other.
enum LinuxSelfTest {
    private static let codeAddress = BootLayout.bootParameters
    /// What the guest writes to address 0 if there are zeros.
    private static let probe: UInt64 = 0x4d69_6e69_564d_4d21

    private static let code: [UInt8] = [
        0x48, 0x0f, 0xc7, 0x0f,  // cmpxchg16b [rdi]
        0xf4,  // hlt
    ]

    /// Tries, on a vCPU of ``SelfTests``.
    ///
    /// - Throws: `KVMError` when an ioctl fails.
    static func run(on vcpu: VCPU) throws -> LinuxSupport {
        let memory = vcpu.owner.memory
        try memory.write(code, at: codeAddress)
        var entry = try EntryState.long(at: codeAddress, memory: memory)
        entry.rbx = probe
        try vcpu.enter(entry)

        try vcpu.enterThroughSignals()
        let exit = Exit(of: vcpu)
        if case .hlt = exit, try memory.load(UInt64.self, at: GuestPhysicalAddress(0)) == probe { return .works }
        let cause = GuestDeath.Cause(exit, of: vcpu)
        if case .emulationFailure = cause { return .emulatesRingZero }
        return .dies(cause)
    }
}

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
}

/// Why a Linux guest is not started.
public enum LinuxSupportError: Error, Hashable, Sendable {
    /// This host's KVM cannot boot Linux, as the self-test has shown.
    case cannotBoot(LinuxSupport)
}

extension LinuxSupportError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .cannotBoot(let support): support.verdict
        }
    }
}
