import CKVM

/// A capability of KVM, as KVM_CHECK_EXTENSION knows it.
///
/// Source: Linux, Documentation/virt/kvm/api.rst; the numbers come from linux/kvm.h.
public struct Capability: Hashable, Sendable {
    /// The name in linux/kvm.h, such as `KVM_CAP_USER_MEMORY`.
    public let name: String
    /// The number in linux/kvm.h.
    public let number: Int32
    /// What MiniVMM does with it.
    public let use: String

    private init(_ name: String, _ number: Int32, _ use: String) {
        self.name = name
        self.number = number
        self.use = use
    }

    /// Guest memory out of this process's memory.
    public static let userMemory = Capability("KVM_CAP_USER_MEMORY", KVM_CAP_USER_MEMORY, "guest memory")
    /// The CPUID table that KVM can back.
    public static let extendedCPUID = Capability("KVM_CAP_EXT_CPUID", KVM_CAP_EXT_CPUID, "the guest's CPUID table")
    /// Leaving KVM_RUN at once, for kicks without a race.
    public static let immediateExit = Capability("KVM_CAP_IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT, "kicks, timeouts")
    /// Where KVM may put its task-state segment.
    public static let setTSSAddress = Capability("KVM_CAP_SET_TSS_ADDR", KVM_CAP_SET_TSS_ADDR, "real mode on Intel")
    /// Where KVM may put its identity map.
    public static let setIdentityMapAddress = Capability(
        "KVM_CAP_SET_IDENTITY_MAP_ADDR", KVM_CAP_SET_IDENTITY_MAP_ADDR, "real mode on Intel")
    /// Breakpoints and single steps.
    public static let guestDebug = Capability(
        "KVM_CAP_SET_GUEST_DEBUG", KVM_CAP_SET_GUEST_DEBUG, "the debug and step traps")
    /// Interrupt controllers inside KVM.
    public static let irqchip = Capability("KVM_CAP_IRQCHIP", KVM_CAP_IRQCHIP, "interrupts")
    /// The interval timer inside KVM.
    public static let pit2 = Capability("KVM_CAP_PIT2", KVM_CAP_PIT2, "the timer of Linux guests")
    /// Timers of the local APICs inside KVM that take deadlines.
    public static let deadlineTimer = Capability(
        "KVM_CAP_TSC_DEADLINE_TIMER", KVM_CAP_TSC_DEADLINE_TIMER, "fewer exits of Linux guests")
    /// Registers in the run page.
    public static let syncRegisters = Capability(
        "KVM_CAP_SYNC_REGS", KVM_CAP_SYNC_REGS, "registers without an ioctl")
    /// MSR accesses that exit to this process.
    public static let userSpaceMSR = Capability(
        "KVM_CAP_X86_USER_SPACE_MSR", KVM_CAP_X86_USER_SPACE_MSR, "RDMSR and WRMSR exits")
    /// Which MSR accesses exit to this process.
    public static let msrFilter = Capability(
        "KVM_CAP_X86_MSR_FILTER", KVM_CAP_X86_MSR_FILTER, "the fault trap")
    /// Statistics of KVM itself.
    public static let binaryStatistics = Capability(
        "KVM_CAP_BINARY_STATS_FD", KVM_CAP_BINARY_STATS_FD, "the kernel's own exit counts")
    /// The frequency of the time-stamp counter.
    public static let getTSCFrequency = Capability(
        "KVM_CAP_GET_TSC_KHZ", KVM_CAP_GET_TSC_KHZ, "cycles as time")
    /// The bytes of an instruction that KVM cannot emulate.
    public static let exitOnEmulationFailure = Capability(
        "KVM_CAP_EXIT_ON_EMULATION_FAILURE", KVM_CAP_EXIT_ON_EMULATION_FAILURE, "death reports")
    /// Writes of the guest that ring a bell in place of an exit to this process.
    public static let ioEvents = Capability(
        "KVM_CAP_IOEVENTFD", KVM_CAP_IOEVENTFD, "notifications of virtio devices")
    /// Interrupts that are raised by a bell.
    public static let interruptEvents = Capability("KVM_CAP_IRQFD", KVM_CAP_IRQFD, "interrupts of virtio devices")
    /// The maximum number of vCPUs.
    public static let maximumVCPUs = Capability("KVM_CAP_MAX_VCPUS", KVM_CAP_MAX_VCPUS, "vCPUs of a guest")

    /// Registers that say what KVM offers to guests.
    package static let featureMSRs = Capability(
        "KVM_CAP_GET_MSR_FEATURES", KVM_CAP_GET_MSR_FEATURES, "what guests that are hypervisors find")

    /// Machine checks of guests; the value is how many banks a vCPU can have.
    package static let machineChecks = Capability("KVM_CAP_MCE", KVM_CAP_MCE, "banks for machine checks")

    /// Those that no run can do without.
    public static let required: [Capability] = [.userMemory, .extendedCPUID, .immediateExit]

    /// Those that Linux guests need besides.
    public static let requiredForLinux: [Capability] = [.irqchip, .pit2]

    /// All that MiniVMM uses, in the order in which `minivmm doctor` shows them.
    public static let all: [Capability] =
        required + [
            .setTSSAddress, .setIdentityMapAddress, .guestDebug, .irqchip, .pit2, .deadlineTimer, .syncRegisters,
            .userSpaceMSR, .msrFilter, .binaryStatistics, .getTSCFrequency, .exitOnEmulationFailure, .ioEvents,
            .interruptEvents, .maximumVCPUs,
        ]
}
