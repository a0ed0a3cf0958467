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
    /// Enough for the page tables, which lie highest.
    private static let memorySize: UInt64 = 0x1_0000
    /// What the guest writes to address 0 if there are zeros.
    private static let probe: UInt64 = 0x4d69_6e69_564d_4d21

    private static let code: [UInt8] = [
        0x48, 0x0f, 0xc7, 0x0f,  // cmpxchg16b [rdi]
        0xf4,  // hlt
    ]

    /// Tries.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    static func run(kvm: KVM) throws -> LinuxSupport {
        if let missing = Capability.requiredForLinux.first(where: { kvm.value(of: $0) == 0 }) {
            return .missingCapability(missing)
        }
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: memorySize)])
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        try machine.setRealModePages()
        let vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
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
