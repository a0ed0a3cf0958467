import CKVM
import Host

/// Interrupts from outside, for machines in which KVM has no interrupt controllers.
extension VCPU {
    /// Whether the guest takes interrupts, as it was at the last exit (RFLAGS.IF).
    package var acceptsInterrupts: Bool { unsafe runPage.pointee.if_flag != 0 }

    /// Whether an interrupt can be delivered now: ``interrupt(_:)`` then comes before the next instruction.
    package var isReadyForInterrupt: Bool { unsafe runPage.pointee.ready_for_interrupt_injection != 0 }

    /// Asks for an exit as soon as an interrupt can be delivered, or not for one any more.
    package func wantInterruptWindow(_ isWanted: Bool) {
        unsafe runPage.pointee.request_interrupt_window = isWanted ? 1 : 0
    }

    /// Delivers an interrupt (KVM_INTERRUPT).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func interrupt(_ vector: UInt8) throws(KVMError) {
        var argument = kvm_interrupt(irq: UInt32(vector))
        // Sound: one structure is read.
        try unsafe check("KVM_INTERRUPT", ckvm_interrupt(descriptor.number, &argument))
        // Until the next exit there is no room for another.
        unsafe runPage.pointee.ready_for_interrupt_injection = 0
    }
}
