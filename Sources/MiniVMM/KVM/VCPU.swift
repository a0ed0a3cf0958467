public import CKVM

/// A vCPU of KVM: its descriptor and its run page.
///
/// All but ``requestImmediateExit()`` is for one thread at a time: the vCPU's own once it runs.
public final class VCPU: Sendable {
    /// The number of the vCPU, which is also its local APIC's id.
    public let id: UInt32

    let descriptor: OwnedDescriptor
    private let runPage: MemoryMapping
    /// Keeps the virtual machine, and with it the guest's memory, for as long as a vCPU can run.
    private let owner: VirtualMachine

    init(id: UInt32, descriptor: consuming OwnedDescriptor, runPage: consuming MemoryMapping, owner: VirtualMachine) {
        self.id = id
        self.descriptor = descriptor
        self.runPage = runPage
        self.owner = owner
    }

    /// The run page: why KVM_RUN returned, and where it is answered.
    ///
    /// Valid for as long as this object lives.
    public var run: UnsafeMutablePointer<kvm_run> {
        // Sound: the mapping is page-aligned, at least as long as kvm_run (checked when it was made), and holds one.
        runPage.baseAddress.assumingMemoryBound(to: kvm_run.self)
    }

    /// The bytes of the run page.
    public var runPageSize: Int { runPage.size }

    /// Enters the guest and returns when it exits.
    ///
    /// - Returns: 0, or -errno.
    @inline(__always)
    public func enter() -> Int32 {
        ckvm_run(descriptor.number)
    }

    /// Lets the next KVM_RUN, or with a signal the present one, return EINTR. Any thread may ask.
    public func requestImmediateExit() {
        ckvm_set_immediate_exit(run, true)
    }

    /// Withdraws ``requestImmediateExit()``.
    public func clearImmediateExit() {
        ckvm_set_immediate_exit(run, false)
    }

    /// Lets KVM finish the instruction whose exit was just serviced, and returns before the next one.
    ///
    /// - Throws: ``KVMError`` when KVM_RUN fails with anything but EINTR.
    public func finishInstruction() throws(KVMError) {
        requestImmediateExit()
        let result = enter()
        clearImmediateExit()
        // 0 would be another exit of the same instruction, as a long string instruction has: it is still to be serviced.
        guard result == -EINTR || result == 0 else { throw .failed("KVM_RUN", result) }
    }
}
