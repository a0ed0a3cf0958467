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

    /// The frequency of the guest's time-stamp counter in kHz (KVM_GET_TSC_KHZ), or nil where KVM does not tell.
    public var tscKHz: UInt32? {
        let result = ckvm_get_tsc_khz(descriptor.number)
        return result > 0 ? UInt32(result) : nil
    }

    func check(_ name: @autoclosure () -> String, _ result: Int32) throws(KVMError) {
        guard result >= 0 else { throw .failed(name(), result) }
    }
}
