import CKVM

extension VCPU {
    /// Puts the vCPU in front of the code that the state leads to.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    func enter(_ entry: EntryState) throws(KVMError) {
        var special = try specialRegisters()
        entry.apply(to: &special)
        try setSpecialRegisters(special)
        try setRegisters(entry.generalRegisters)
    }
}

extension EntryState {
    /// The general registers, for KVM_SET_REGS.
    var generalRegisters: kvm_regs {
        var registers = kvm_regs()
        registers.rip = rip
        registers.rsp = rsp
        registers.rbx = rbx
        registers.rsi = rsi
        registers.rflags = ControlRegister.rflagsReserved
        return registers
    }

    /// Changes the registers that KVM_GET_SREGS gave into those that the guest starts with, for KVM_SET_SREGS.
    func apply(to registers: inout kvm_sregs) {
        registers.cs = code.register
        registers.ds = data.register
        registers.es = data.register
        registers.fs = data.register
        registers.gs = data.register
        registers.ss = data.register
        registers.tr = task.register
        registers.gdt.base = descriptorTable.base.rawValue
        registers.gdt.limit = descriptorTable.limit
        // A processor comes out of reset with its caches off; firmware has switched them on by now.
        registers.cr0 &= ~(Self.cacheDisable | Self.notWriteThrough)
        switch mode {
        case .protected:
            registers.cr0 |= ControlRegister.cr0ProtectionEnable
            registers.cr4 = 0
        case .long:
            registers.cr0 |= ControlRegister.cr0ProtectionEnable | ControlRegister.cr0Paging
            registers.cr3 = cr3
            registers.cr4 = ControlRegister.cr4PhysicalAddressExtension
            registers.efer |= ControlRegister.eferLongModeEnable | ControlRegister.eferLongModeActive
        }
    }

    /// CR0.CD and CR0.NW. Source: Intel SDM, volume 3, "Control Registers".
    private static let cacheDisable: UInt64 = 1 << 30
    private static let notWriteThrough: UInt64 = 1 << 29
}
