import CKVM

/// A vCPU's registers, for the vCPU's own thread: out of the run page where KVM keeps them there (KVM_CAP_SYNC_REGS),
/// else by an ioctl.
///
/// An ioctl on a vCPU loads and unloads its whole state, which on some hosts costs as much as an exit. General
/// registers in the run page cost next to nothing; the segment and control registers are asked for at every exit only
/// when every exit needs them, because some processors take a while to hand them out.
package struct SynchronizedRegisters {
    private let vcpu: VCPU
    private let hasGeneral: Bool
    private let canHaveSpecial: Bool

    /// The sets of registers that the exits are to bring.
    package enum Demand: Comparable, Sendable {
        /// None.
        case none
        /// The general registers, now and then.
        case general
        /// The general registers, and the segment and control registers at every exit.
        case all
    }

    /// Asks KVM to keep registers in the run page.
    ///
    /// - Parameters:
    ///   - vcpu: The vCPU.
    ///   - supported: What KVM_CAP_SYNC_REGS answers: a bit for each set of registers.
    ///   - demand: What is needed.
    package init(vcpu: VCPU, supported: UInt64, demand: Demand) {
        self.vcpu = vcpu
        hasGeneral = demand != .none && supported & ckvm_sync_regs != 0
        canHaveSpecial = supported & ckvm_sync_sregs != 0
        unsafe vcpu.runPage.pointee.kvm_valid_regs = hasGeneral ? ckvm_sync_regs : 0
        // They are there after the first exit, and not asked for before.
        if demand == .all, canHaveSpecial { unsafe vcpu.runPage.pointee.kvm_valid_regs |= ckvm_sync_sregs }
    }

    /// Says whether the segment and control registers should be in the run page, from now on and after each exit.
    ///
    /// - Throws: ``KVMError`` when they are not there yet, and KVM does not hand them out.
    package func wantSpecial(_ isWanted: Bool) throws(KVMError) {
        guard isWanted, canHaveSpecial else {
            unsafe vcpu.runPage.pointee.kvm_valid_regs &= ~ckvm_sync_sregs
            return
        }
        guard !hasSpecial else { return }
        // Sound: the pointer is into the run page. The last exit has not stored them there; but what is to be set is there.
        if unsafe vcpu.runPage.pointee.kvm_dirty_regs & UInt64(ckvm_sync_sregs) == 0 {
            unsafe ckvm_synced_sregs(vcpu.runPage).pointee = try vcpu.specialRegisters().kernelValue
        }
        unsafe vcpu.runPage.pointee.kvm_valid_regs |= ckvm_sync_sregs
    }

    /// Whether the segment and control registers are in the run page.
    package var hasSpecial: Bool { unsafe vcpu.runPage.pointee.kvm_valid_regs & ckvm_sync_sregs != 0 }

    /// The general registers, after KVM_RUN has returned.
    package func general() throws(KVMError) -> GeneralRegisters {
        // Sound: the pointer is into the run page, and KVM has stored the registers there at the exit.
        unsafe hasGeneral ? GeneralRegisters(ckvm_synced_regs(vcpu.runPage).pointee) : try vcpu.registers()
    }

    /// The instruction pointer, after KVM_RUN has returned: 0 where KVM does not hand it out.
    @inline(__always)
    package var instructionPointer: UInt64 {
        // Sound: as for all general registers.
        if hasGeneral { return unsafe ckvm_synced_regs(vcpu.runPage).pointee.rip }
        return (try? vcpu.registers().rip) ?? 0
    }

    /// The segment and control registers, after KVM_RUN has returned.
    package func special() throws(KVMError) -> SpecialRegisters {
        // Sound: as for the general registers.
        unsafe hasSpecial ? SpecialRegisters(ckvm_synced_sregs(vcpu.runPage).pointee) : try vcpu.specialRegisters()
    }

    /// Sets the general registers, at the next KVM_RUN at the latest.
    package func setGeneral(_ registers: GeneralRegisters) throws(KVMError) {
        guard hasGeneral else { return try vcpu.setRegisters(registers) }
        // Sound: as for reading.
        unsafe ckvm_synced_regs(vcpu.runPage).pointee = registers.kernelValue
        unsafe vcpu.runPage.pointee.kvm_dirty_regs |= ckvm_sync_regs
    }

    /// Sets the general registers at once, so that an ioctl that follows finds them.
    package func setGeneralNow(_ registers: GeneralRegisters) throws(KVMError) {
        if hasGeneral {
            // Sound: as for reading. The page's copy is what is read until the next exit.
            unsafe ckvm_synced_regs(vcpu.runPage).pointee = registers.kernelValue
            unsafe vcpu.runPage.pointee.kvm_dirty_regs &= ~ckvm_sync_regs
        }
        try vcpu.setRegisters(registers)
    }

    /// Sets the segment and control registers, at the next KVM_RUN at the latest.
    package func setSpecial(_ registers: SpecialRegisters) throws(KVMError) {
        guard canHaveSpecial else { return try vcpu.setSpecialRegisters(registers) }
        // Sound: as for reading. KVM takes them from the page whether or not it has stored them there.
        unsafe ckvm_synced_sregs(vcpu.runPage).pointee = registers.kernelValue
        unsafe vcpu.runPage.pointee.kvm_dirty_regs |= ckvm_sync_sregs
    }

    /// Sets the segment and control registers at once, so that an ioctl that follows finds them.
    package func setSpecialNow(_ registers: SpecialRegisters) throws(KVMError) {
        // First: KVM refuses what no processor would accept.
        try vcpu.setSpecialRegisters(registers)
        guard canHaveSpecial else { return }
        // Sound: as for reading. The page's copy is what is read until the next exit.
        unsafe ckvm_synced_sregs(vcpu.runPage).pointee = registers.kernelValue
        unsafe vcpu.runPage.pointee.kvm_dirty_regs &= ~ckvm_sync_sregs
    }
}
