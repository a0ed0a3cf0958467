/// What the vCPUs of a machine share.
struct MachineParts: Sendable {
    let memory: GuestMemory
    let ports: PortBus
    let mmio: MMIOBus
    let counters: ExitCounterTable
    let leaves: CounterLeaves
    /// KVM's own count of exits, where guests are told of it in place of ours.
    let kernelExits: KernelExits?
    let control: RunControl
    let console: ConsoleOutput
    /// What KVM_CAP_SYNC_REGS answers: a bit for each set of registers that KVM keeps in the run page.
    let syncRegisters: UInt64
    /// The port by which the interrupt stubs of a flat guest call MiniVMM, or nil when the guest has none.
    let firmwarePort: UInt8?
    /// Whether KVM has interrupt controllers for the guest. Then HLT is KVM's as well, and comes out no more.
    var hasInterruptControllers = false
    /// The host's CPUs that the vCPUs are kept on.
    var pinnedCPUs: CPUList?
    /// What is kept of the exits besides the counters.
    var recording = RecordingOptions()
}
