import CKVM
import Host

extension VCPU {
    /// The general registers (KVM_GET_REGS).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func registers() throws(KVMError) -> GeneralRegisters {
        var registers = kvm_regs()
        try unsafe check("KVM_GET_REGS", ckvm_get_regs(descriptor.number, &registers))
        return GeneralRegisters(registers)
    }

    /// Sets the general registers (KVM_SET_REGS).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func setRegisters(_ registers: GeneralRegisters) throws(KVMError) {
        var registers = registers.kernelValue
        try unsafe check("KVM_SET_REGS", ckvm_set_regs(descriptor.number, &registers))
    }

    /// The segment, control and descriptor-table registers (KVM_GET_SREGS).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func specialRegisters() throws(KVMError) -> SpecialRegisters {
        var registers = kvm_sregs()
        try unsafe check("KVM_GET_SREGS", ckvm_get_sregs(descriptor.number, &registers))
        return SpecialRegisters(registers)
    }

    /// Sets the segment, control and descriptor-table registers (KVM_SET_SREGS).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails, as it does for values that no processor would accept.
    public func setSpecialRegisters(_ registers: SpecialRegisters) throws(KVMError) {
        var registers = registers.kernelValue
        try unsafe check("KVM_SET_SREGS", ckvm_set_sregs(descriptor.number, &registers))
    }

    /// Gives the vCPU its CPUID table (KVM_SET_CPUID2), which must be done before its first run.
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func setCPUID(_ table: CPUIDTable) throws(KVMError) {
        try unsafe check("KVM_SET_CPUID2", table.withKernelTable { unsafe ckvm_set_cpuid2(descriptor.number, $0) })
    }

    /// The vCPU's CPUID table as it stands now: KVM keeps the bits that depend on CR4, XCR0 and the APIC up to date
    /// (KVM_GET_CPUID2).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func cpuid() throws(KVMError) -> CPUIDTable {
        try unsafe CPUIDTable.read("KVM_GET_CPUID2") { unsafe ckvm_get_cpuid2(descriptor.number, $0) }
    }

    /// What KVM_SET_GUEST_DEBUG can be asked for, out of what MiniVMM uses.
    public enum GuestDebug: Hashable, Sendable {
        /// Nothing: the guest's debug registers and trap flag are its own.
        case off
        /// An exit after every instruction.
        case singleStep
        /// An exit before the instruction at each of up to four linear addresses.
        case breakpoints([UInt64])
    }

    /// Sets breakpoints or single-stepping (KVM_SET_GUEST_DEBUG).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func setGuestDebug(_ debug: GuestDebug) throws(KVMError) {
        var argument = Self.kernelArgument(debug)
        try unsafe check("KVM_SET_GUEST_DEBUG", ckvm_set_guest_debug(descriptor.number, &argument))
    }

    /// Raises #DB in the guest, leaving breakpoints or single-stepping as they are.
    ///
    /// - Throws: ``KVMError`` when the ioctl fails with anything but EBUSY, which says that an exception is pending.
    public func injectDebugException(keeping debug: GuestDebug) throws(KVMError) {
        var argument = Self.kernelArgument(debug)
        argument.control |= ckvm_guestdbg_enable | ckvm_guestdbg_inject_db
        let result = unsafe ckvm_set_guest_debug(descriptor.number, &argument)
        if result != -EBUSY { try check("KVM_SET_GUEST_DEBUG", result) }
    }

    private static func kernelArgument(_ debug: GuestDebug) -> kvm_guest_debug {
        var argument = kvm_guest_debug()
        switch debug {
        case .off:
            break
        case .singleStep:
            argument.control = ckvm_guestdbg_enable | ckvm_guestdbg_singlestep
        case .breakpoints(let addresses):
            argument.control = ckvm_guestdbg_enable | ckvm_guestdbg_use_hw_bp
            argument.arch.debugreg = DebugRegisters.executionBreakpoints(at: addresses)
        }
        return argument
    }

    /// The frequency of the guest's time-stamp counter in kHz (KVM_GET_TSC_KHZ), or nil where KVM does not tell.
    public var tscKHz: UInt32? {
        let result = ckvm_get_tsc_khz(descriptor.number)
        return result > 0 ? UInt32(result) : nil
    }

    private func check(_ name: @autoclosure () -> String, _ result: Int32) throws(KVMError) {
        guard result >= 0 else { throw .failed(name(), result) }
    }
}

/// The debug registers DR0 to DR7, in the form that KVM_SET_GUEST_DEBUG takes.
///
/// Source: Intel SDM, volume 3, "Debug registers".
package enum DebugRegisters {
    typealias Values = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

    /// How many breakpoints the processor has: DR0 to DR3.
    package static let breakpointCount = 4

    /// DR7 bits 10: reserved, always one.
    private static let dr7Reserved: UInt64 = 1 << 10

    /// Breakpoints on the execution of the instructions at up to four linear addresses; further ones are left out.
    static func executionBreakpoints(at addresses: some Sequence<UInt64>) -> Values {
        var slots: [UInt64] = []
        var dr7 = dr7Reserved
        for (index, address) in addresses.prefix(breakpointCount).enumerated() {
            slots.append(address)
            // DR7 bits 1, 3, 5, 7: global enable. R/W and LEN of an execution breakpoint are both 0.
            dr7 |= 1 << (2 * UInt64(index) + 1)
        }
        slots += repeatElement(0, count: breakpointCount - slots.count)
        return (slots[0], slots[1], slots[2], slots[3], 0, 0, 0, dr7)
    }
}
