import CKVM
package import Host
public import Memory

/// A virtual machine of KVM, and the memory that it was given.
public final class VirtualMachine: Sendable {
    package let descriptor: OwnedDescriptor
    package let systemCalls: KVMSystemCalls
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
        var argument = unsafe kvm_userspace_memory_region(
            slot: slot,
            flags: 0,
            guest_phys_addr: region.start.rawValue,
            memory_size: region.size,
            userspace_addr: UInt64(UInt(bitPattern: region.hostAddress))
        )
        try unsafe check("KVM_SET_USER_MEMORY_REGION", ckvm_set_user_memory_region(descriptor.number, &argument))
    }

    /// Creates a vCPU. Its id is also its local APIC's.
    ///
    /// - Throws: ``KVMError`` when an ioctl or the mapping of the run page fails.
    public func makeVCPU(id: UInt32) throws(KVMError) -> VCPU {
        let result = systemCalls.createVCPU(descriptor.number, id)
        guard result >= 0 else { throw .failed("KVM_CREATE_VCPU", result) }
        let vcpuDescriptor = OwnedDescriptor(takingOver: result)
        var address: UnsafeMutableRawPointer?
        let mapped = unsafe systemCalls.mapShared(vcpuDescriptor.number, runPageSize, &address)
        guard mapped >= 0, let address = unsafe address else {
            throw .failed("mmap of the run page of vCPU \(id)", mapped)
        }
        // Sound: the address and size are those of a mapping that was just made, and nobody else unmaps it.
        let runPage = unsafe MemoryMapping(takingOver: address, size: runPageSize)
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
        try unsafe check(
            "KVM_SET_IDENTITY_MAP_ADDR", ckvm_set_identity_map_addr(descriptor.number, &identityMapAddress))
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
        try unsafe check(
            "KVM_ENABLE_CAP(KVM_CAP_EXIT_ON_EMULATION_FAILURE)", ckvm_enable_cap(descriptor.number, &argument))
    }

    package func check(_ name: @autoclosure () -> String, _ result: Int32) throws(KVMError) {
        guard result >= 0 else { throw .failed(name(), result) }
    }
}

extension VirtualMachine {
    /// Gives the machine the interrupt controllers and the timer that KVM itself has: two 8259 PICs, an IOAPIC, a local
    /// APIC for each vCPU, and an 8254 PIT with port 0x61. To be done before the first vCPU is made.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    public func createInterruptControllers() throws(KVMError) {
        try check("KVM_CREATE_IRQCHIP", ckvm_create_irqchip(descriptor.number))
        var configuration = kvm_pit_config()
        // Without it KVM leaves port 0x61 to this process, and Linux waits there for the timer's second channel.
        configuration.flags = UInt32(KVM_PIT_SPEAKER_DUMMY)
        try unsafe check("KVM_CREATE_PIT2", ckvm_create_pit2(descriptor.number, &configuration))
    }

    /// Sets the level of an interrupt line of the controllers inside KVM. From any thread.
    ///
    /// - Parameters:
    ///   - line: The global system interrupt: 0 to 23, of which the first 16 are the PICs' too.
    ///   - isHigh: The level.
    public func setInterruptLine(_ line: UInt32, isHigh: Bool) {
        var argument = kvm_irq_level()
        argument.irq = line
        argument.level = isHigh ? 1 : 0
        // It fails only for lines that do not exist or machines without controllers, and devices are given lines that
        // do, of machines that have them.
        let result = unsafe ckvm_irq_line(descriptor.number, &argument)
        assert(result >= 0, "KVM_IRQ_LINE failed: \(result)")
    }
}

extension VCPU {
    /// Sets the local APIC up as a PC's firmware does: it is on, LINT0 takes the PICs' interrupts, LINT1 NMIs.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    package func connectLocalInterrupts() throws(KVMError) {
        var state = kvm_lapic_state()
        let result = unsafe ckvm_get_lapic(descriptor.number, &state)
        guard result >= 0 else { throw .failed("KVM_GET_LAPIC", result) }
        unsafe withUnsafeMutableBytes(of: &state) { page in
            // Sound: the offsets are inside the 1024 bytes of the APIC's registers, and aligned.
            unsafe page.storeBytes(of: LocalAPIC.isOn, toByteOffset: LocalAPIC.spurious, as: UInt32.self)
            unsafe page.storeBytes(of: LocalAPIC.deliverExternal, toByteOffset: LocalAPIC.lint0, as: UInt32.self)
            unsafe page.storeBytes(of: LocalAPIC.deliverNMI, toByteOffset: LocalAPIC.lint1, as: UInt32.self)
        }
        let set = unsafe ckvm_set_lapic(descriptor.number, &state)
        guard set >= 0 else { throw .failed("KVM_SET_LAPIC", set) }
    }

    /// Registers of the local APIC, and delivery modes (bits 10:8) of its local vector table. Source: Intel SDM,
    /// volume 3, "Advanced programmable interrupt controller".
    private enum LocalAPIC {
        static let spurious = 0x0f0
        static let lint0 = 0x350
        static let lint1 = 0x360
        /// Bit 8, and the vector 255 of spurious interrupts, as it is after a reset.
        static let isOn: UInt32 = 0x1ff
        static let deliverExternal: UInt32 = 0b111 << 8
        static let deliverNMI: UInt32 = 0b100 << 8
    }
}

extension VirtualMachine {
    /// Lets the guest's reads and writes of one model-specific register exit to this process, and no others.
    ///
    /// Source: Documentation/virt/kvm/api.rst, KVM_CAP_X86_USER_SPACE_MSR and KVM_X86_SET_MSR_FILTER.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    package func interceptMSR(_ index: UInt32) throws(KVMError) {
        var capability = kvm_enable_cap()
        capability.cap = UInt32(KVM_CAP_X86_USER_SPACE_MSR)
        capability.args.0 = UInt64(ckvm_msr_exit_reason_filter)
        try unsafe check("KVM_ENABLE_CAP(KVM_CAP_X86_USER_SPACE_MSR)", ckvm_enable_cap(descriptor.number, &capability))
        try check("KVM_X86_SET_MSR_FILTER", ckvm_intercept_msr(descriptor.number, index))
    }
}
