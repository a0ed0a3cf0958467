import CKVM

/// A vCPU's registers, for the vCPU's own thread: out of the run page where KVM keeps them there (KVM_CAP_SYNC_REGS),
/// else by an ioctl.
///
/// An ioctl on a vCPU loads and unloads its whole state, which on some hosts costs as much as an exit. General
/// registers in the run page cost next to nothing; the segment and control registers are asked for at every exit only
/// when every exit needs them, because some processors take a while to hand them out.
struct VCPURegisters {
    private let vcpu: VCPU
    private let hasGeneral: Bool
    private let canHaveSpecial: Bool

    /// Asks KVM to keep registers in the run page.
    ///
    /// - Parameters:
    ///   - supported: What KVM_CAP_SYNC_REGS answers: a bit for each set of registers.
    ///   - wantsGeneral: Whether the general registers are needed now and then.
    ///   - wantsSpecial: Whether the segment and control registers are needed at every exit.
    init(vcpu: VCPU, supported: UInt64, wantsGeneral: Bool, wantsSpecial: Bool) {
        self.vcpu = vcpu
        hasGeneral = wantsGeneral && supported & ckvm_sync_regs != 0
        canHaveSpecial = supported & ckvm_sync_sregs != 0
        vcpu.run.pointee.kvm_valid_regs = hasGeneral ? ckvm_sync_regs : 0
        if wantsSpecial { wantSpecial(true) }
    }

    /// Says whether the segment and control registers should be in the run page after the next exit.
    func wantSpecial(_ isWanted: Bool) {
        if isWanted, canHaveSpecial {
            vcpu.run.pointee.kvm_valid_regs |= ckvm_sync_sregs
        } else {
            vcpu.run.pointee.kvm_valid_regs &= ~ckvm_sync_sregs
        }
    }

    /// Whether the segment and control registers are in the run page.
    var hasSpecial: Bool { vcpu.run.pointee.kvm_valid_regs & ckvm_sync_sregs != 0 }

    /// The general registers, after KVM_RUN has returned.
    func general() throws(KVMError) -> kvm_regs {
        // Sound: the pointer is into the run page, and KVM has stored the registers there at the exit.
        hasGeneral ? ckvm_synced_regs(vcpu.run).pointee : try vcpu.registers()
    }

    /// The segment and control registers, after KVM_RUN has returned.
    func special() throws(KVMError) -> kvm_sregs {
        // Sound: as for the general registers.
        hasSpecial ? ckvm_synced_sregs(vcpu.run).pointee : try vcpu.specialRegisters()
    }

    /// Sets the general registers, at the next KVM_RUN at the latest.
    func setGeneral(_ registers: kvm_regs) throws(KVMError) {
        guard hasGeneral else { return try vcpu.setRegisters(registers) }
        // Sound: as for reading.
        ckvm_synced_regs(vcpu.run).pointee = registers
        vcpu.run.pointee.kvm_dirty_regs |= ckvm_sync_regs
    }

    /// Sets the general registers at once, so that an ioctl that follows finds them.
    func setGeneralNow(_ registers: kvm_regs) throws(KVMError) {
        if hasGeneral {
            // Sound: as for reading. The page's copy is what is read until the next exit.
            ckvm_synced_regs(vcpu.run).pointee = registers
            vcpu.run.pointee.kvm_dirty_regs &= ~ckvm_sync_regs
        }
        try vcpu.setRegisters(registers)
    }

    /// Sets the segment and control registers, at the next KVM_RUN at the latest.
    func setSpecial(_ registers: kvm_sregs) throws(KVMError) {
        guard canHaveSpecial else { return try vcpu.setSpecialRegisters(registers) }
        // Sound: as for reading. KVM takes them from the page whether or not it has stored them there.
        ckvm_synced_sregs(vcpu.run).pointee = registers
        vcpu.run.pointee.kvm_dirty_regs |= ckvm_sync_sregs
    }
}
