import CKVM

/// A virtual machine of KVM, and the memory that it was given.
public final class VirtualMachine: Sendable {
    let descriptor: OwnedDescriptor
    let systemCalls: KVMSystemCalls
    private let runPageSize: Int

    /// The memory of the guest, which lives at least as long as the virtual machine that maps it.
    public let memory: GuestMemory

    /// Creates a virtual machine that has the given memory and no vCPU.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    public init(kvm: KVM, memory: GuestMemory) throws(KVMError) {
        systemCalls = kvm.systemCalls
        self.memory = memory
        var result = systemCalls.createVM(kvm.descriptor.number)
        // KVM_CREATE_VM is interrupted by signals that are under way to this thread.
        while result == -EINTR { result = systemCalls.createVM(kvm.descriptor.number) }
        guard result >= 0 else { throw .failed("KVM_CREATE_VM", result) }
        descriptor = OwnedDescriptor(takingOver: result)

        let size = ckvm_get_vcpu_mmap_size(kvm.descriptor.number)
        guard size >= MemoryLayout<kvm_run>.size else { throw .failed("KVM_GET_VCPU_MMAP_SIZE", min(size, -EINVAL)) }
        runPageSize = Int(size)

        for (slot, region) in memory.regions.enumerated() {
            try map(region, slot: UInt32(truncatingIfNeeded: slot))
        }
    }

    private func map(_ region: GuestMemory.Region, slot: UInt32) throws(KVMError) {
        // Sound: the region's mapping is owned by `memory`, which this object keeps for as long as the descriptor.
        var argument = kvm_userspace_memory_region(
            slot: slot,
            flags: 0,
            guest_phys_addr: region.start.rawValue,
            memory_size: region.size,
            userspace_addr: UInt64(UInt(bitPattern: region.hostAddress))
        )
        try check("KVM_SET_USER_MEMORY_REGION", ckvm_set_user_memory_region(descriptor.number, &argument))
    }

    /// Creates a vCPU. Its id is also its local APIC's.
    ///
    /// - Throws: ``KVMError`` when an ioctl or the mapping of the run page fails.
    public func makeVCPU(id: UInt32) throws(KVMError) -> VCPU {
        let result = systemCalls.createVCPU(descriptor.number, id)
        guard result >= 0 else { throw .failed("KVM_CREATE_VCPU", result) }
        let vcpuDescriptor = OwnedDescriptor(takingOver: result)
        var address: UnsafeMutableRawPointer?
        let mapped = systemCalls.mapShared(vcpuDescriptor.number, runPageSize, &address)
        guard mapped >= 0, let address else { throw .failed("mmap of the run page of vCPU \(id)", mapped) }
        // Sound: the address and size are those of a mapping that was just made, and nobody else unmaps it.
        let runPage = MemoryMapping(takingOver: address, size: runPageSize)
        return VCPU(id: id, descriptor: vcpuDescriptor, runPage: runPage, owner: self)
    }

    /// Tells KVM where it may keep the pages that it needs to run real mode on Intel processors.
    ///
    /// Both lie below the local APIC's page, in the hole that every PC leaves under 4 GiB. KVM ignores them on AMD.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    public func setRealModePages() throws(KVMError) {
        /// One page; and three pages from the next page on. Source: Documentation/virt/kvm/api.rst,
        /// KVM_SET_IDENTITY_MAP_ADDR and KVM_SET_TSS_ADDR.
        var identityMapAddress: UInt64 = 0xfffb_c000
        let tssAddress: UInt64 = 0xfffb_d000
        try check("KVM_SET_IDENTITY_MAP_ADDR", ckvm_set_identity_map_addr(descriptor.number, &identityMapAddress))
        try check("KVM_SET_TSS_ADDR", ckvm_set_tss_addr(descriptor.number, tssAddress))
    }

    /// Lets an instruction that KVM cannot emulate end the run with its bytes, where KVM knows how.
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func reportEmulationFailures() throws(KVMError) {
        guard ckvm_check_extension(descriptor.number, UInt64(KVM_CAP_EXIT_ON_EMULATION_FAILURE)) > 0 else { return }
        var argument = kvm_enable_cap()
        argument.cap = UInt32(KVM_CAP_EXIT_ON_EMULATION_FAILURE)
        argument.args.0 = 1
        try check("KVM_ENABLE_CAP(KVM_CAP_EXIT_ON_EMULATION_FAILURE)", ckvm_enable_cap(descriptor.number, &argument))
    }

    func check(_ name: @autoclosure () -> String, _ result: Int32) throws(KVMError) {
        guard result >= 0 else { throw .failed(name(), result) }
    }
}
