public import CKVM
public import Host

/// A vCPU of KVM: its descriptor and its run page.
///
/// All but ``requestImmediateExit()`` is for one thread at a time: the vCPU's own once it runs.
public final class VCPU: Sendable {
    /// The number of the vCPU, which is also its local APIC's id.
    public let id: UInt32

    @usableFromInline package let descriptor: OwnedDescriptor
    @usableFromInline let mapping: MemoryMapping
    /// Keeps the virtual machine, and with it the guest's memory, for as long as a vCPU can run.
    package let owner: VirtualMachine

    package init(
        id: UInt32, descriptor: consuming OwnedDescriptor, runPage: consuming MemoryMapping, owner: VirtualMachine
    ) {
        self.id = id
        self.descriptor = descriptor
        self.mapping = runPage
        self.owner = owner
    }

    /// The run page: why KVM_RUN returned, and where it is answered.
    ///
    /// Valid for as long as this object lives.
    @inlinable
    package var runPage: UnsafeMutablePointer<kvm_run> {
        // Sound: the mapping is page-aligned, at least as long as kvm_run (checked when it was made), and holds one.
        unsafe mapping.baseAddress.assumingMemoryBound(to: kvm_run.self)
    }

    /// The bytes of the run page.
    @inlinable
    package var runPageSize: Int { mapping.size }

    /// Enters the guest, and lends the exit that it comes back with.
    ///
    /// A request for an immediate exit is withdrawn when it has been answered: look whether the program wants to stop,
    /// and run again.
    ///
    /// - Parameter body: Services the exit, which points into the run page and is valid only for this call.
    /// - Returns: What the closure returns; nil when a signal or ``requestImmediateExit()`` ended KVM_RUN without an exit.
    /// - Throws: ``KVMError`` when KVM_RUN fails; what the closure throws.
    public func run<Result>(_ body: (borrowing Exit) throws -> Result) throws -> Result? {
        let result = enter()
        if result == -EINTR || result == -EAGAIN {
            clearImmediateExit()
            return nil
        }
        guard result == 0 else { throw KVMError.failed("KVM_RUN", result) }
        return try body(Exit(of: self))
    }

    /// Enters the guest and returns when it exits.
    ///
    /// - Returns: 0, or -errno.
    @inlinable
    @inline(__always)
    package func enter() -> Int32 {
        ckvm_run(descriptor.number)
    }

    /// Lets the next KVM_RUN, or with a signal the present one, return EINTR. Any thread may ask.
    public func requestImmediateExit() {
        unsafe ckvm_set_immediate_exit(runPage, true)
    }

    /// Withdraws ``requestImmediateExit()``.
    public func clearImmediateExit() {
        unsafe ckvm_set_immediate_exit(runPage, false)
    }

    /// Has KVM make what it makes at the first KVM_RUN of a virtual machine, such as a thread of its own, without entering
    /// the guest. On the thread that will run the vCPU, before it does.
    ///
    /// KVM_RUN returns EAGAIN where that fails, as it does where a vCPU has waited: afterwards, only the latter is left.
    ///
    /// - Throws: ``KVMError`` when the system refuses, again and again for a tenth of a second.
    package func prepareToRun() throws(KVMError) {
        for _ in 0..<Self.maximumAttempts {
            requestImmediateExit()
            let result = enter()
            clearImmediateExit()
            guard result == -EAGAIN else { return }
            _ = ckvm_poll(nil, 0, 0, Self.nanosecondsBetweenAttempts)
        }
        throw .outOfResources(name: "KVM_RUN", ErrorNumber.tryAgain)
    }

    private static let maximumAttempts = 20
    private static let nanosecondsBetweenAttempts: Int64 = 5_000_000

    /// Answers an MSR exit.
    ///
    /// - Parameter value: What RDMSR reads, or anything for WRMSR; nil for a #GP in the guest.
    public func answerMSR(_ value: UInt64?) {
        unsafe ckvm_answer_msr(runPage, value ?? 0, value == nil)
    }

    /// Answers a hypercall exit.
    ///
    /// - Parameter result: What the guest finds in RAX.
    public func answerHypercall(_ result: UInt64) {
        unsafe ckvm_answer_hypercall(runPage, result)
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

extension VCPU {
    /// A model-specific register (KVM_GET_MSRS), or nil where KVM does not have it.
    package func modelSpecificRegister(_ index: UInt32) -> UInt64? {
        var value: UInt64 = 0
        return unsafe ckvm_get_feature_msr(descriptor.number, index, &value) == 1 ? value : nil
    }

    /// Gives the vCPU banks that machine checks are reported in (KVM_X86_SETUP_MCE). Before its first run.
    ///
    /// - Parameter capabilities: What IA32_MCG_CAP says: the number of banks, and what can be done with them.
    /// - Returns: Whether KVM took it.
    package func setUpMachineChecks(_ capabilities: UInt64) -> Bool {
        var capabilities = capabilities
        // Sound: one value is read.
        return unsafe ckvm_set_up_machine_checks(descriptor.number, &capabilities) >= 0
    }

    /// Sets a model-specific register (KVM_SET_MSRS).
    ///
    /// - Returns: Whether KVM took the value. It refuses registers and bits that it does not have.
    /// - Throws: ``KVMError`` when the ioctl fails as such.
    package func setMSR(_ index: UInt32, _ value: UInt64) throws(KVMError) -> Bool {
        try setMSRs([(index, value)]) == 1
    }

    /// Sets model-specific registers one after the other, up to the first that KVM refuses (KVM_SET_MSRS).
    ///
    /// - Returns: How many KVM took.
    /// - Throws: ``KVMError`` when the ioctl fails as such.
    package func setMSRs(_ values: [(index: UInt32, value: UInt64)]) throws(KVMError) -> Int {
        // The entries behind their header, as KVM_SET_MSRS takes them.
        let size = MemoryLayout<kvm_msrs>.size + values.count * MemoryLayout<kvm_msr_entry>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<kvm_msrs>.alignment)
        defer { unsafe memory.deallocate() }
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        // Sound: the memory is aligned and long enough for the header and the entries, and zero is valid for all.
        let table = unsafe memory.bindMemory(to: kvm_msrs.self, capacity: 1)
        unsafe table.pointee.nmsrs = UInt32(values.count)
        for (number, entry) in values.enumerated() {
            unsafe ckvm_msr_entries(table)[number].index = entry.index
            unsafe ckvm_msr_entries(table)[number].data = entry.value
        }
        let result = unsafe ckvm_set_msrs(descriptor.number, table)
        guard result >= 0 else { throw .failed("KVM_SET_MSRS", result) }
        // The ioctl returns how many entries it took.
        return Int(result)
    }
}
