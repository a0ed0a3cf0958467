import CKVM
import Host

/// The #DB with which a processor reports a single step, for instructions that were serviced outside of it.
extension VCPU {
    /// Raises the #DB that follows an instruction with the trap flag set: DR6 says that it is a single step. The
    /// registers must be set by now, at the instruction after it.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    package func raiseSingleStep() throws(KVMError) {
        try addDebugStatus(DebugStatus.singleStep)
        var events = kvm_vcpu_events()
        var result = unsafe ckvm_get_vcpu_events(descriptor.number, &events)
        guard result >= 0 else { throw .failed("KVM_GET_VCPU_EVENTS", result) }
        // Injected and not pending: registers that are set later take a pending one away.
        events.exception.injected = 1
        events.exception.pending = 0
        events.exception.nr = DebugStatus.vector
        events.exception.has_error_code = 0
        result = unsafe ckvm_set_vcpu_events(descriptor.number, &events)
        guard result >= 0 else { throw .failed("KVM_SET_VCPU_EVENTS", result) }
    }

    /// Sets bits in DR6, as the processor does when it raises #DB.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    package func addDebugStatus(_ bits: UInt64) throws(KVMError) {
        var registers = kvm_debugregs()
        var result = unsafe ckvm_get_debugregs(descriptor.number, &registers)
        guard result >= 0 else { throw .failed("KVM_GET_DEBUGREGS", result) }
        registers.dr6 |= bits & DebugStatus.causes
        result = unsafe ckvm_set_debugregs(descriptor.number, &registers)
        guard result >= 0 else { throw .failed("KVM_SET_DEBUGREGS", result) }
    }
}

/// The bits of DR6. Source: Intel SDM, volume 3, "Debug status register (DR6)".
package enum DebugStatus {
    /// BS: a single step.
    package static let singleStep: UInt64 = 1 << 14
    /// B0 to B3, BD, BS and BT.
    static let causes: UInt64 = 0xe00f
    /// The vector of #DB.
    static let vector: UInt8 = 1
}
