import CKVM
import Host
import Memory

/// What of a vCPU says whether it runs, and what can make it go on if it does not.
package struct VCPUWaitState: Hashable, Sendable {
    /// Where a vCPU is between INIT and HLT.
    package enum Activity: Hashable, Sendable {
        /// It executes instructions, or is about to.
        case runs
        /// It waits for INIT or a start-up interrupt, which only another vCPU sends.
        case waitsForStart
        /// It has executed HLT.
        case halted
    }

    /// Where it is.
    package var activity = Activity.runs
    /// RFLAGS.IF: maskable interrupts wake it.
    package var takesInterrupts = true
    /// Whether an exception, NMI, SMI or INIT is on its way.
    package var hasPendingEvent = false
    /// Whether VMX or SVM is on. Then RFLAGS may be a nested guest's, which does not say what wakes the vCPU.
    package var isHypervisor = false
    /// The entries of the local APIC's vector table by which KVM can raise an NMI: LINT0 and the performance counters'.
    package var localVectors: [UInt32] = []

    /// Nothing known: it runs.
    package init() {}
}

extension VCPU {
    /// What the vCPU waits for. Only while its thread is out of KVM_RUN, and where KVM has the interrupt controllers.
    ///
    /// - Throws: ``KVMError`` when an ioctl fails.
    package func waitState() throws(KVMError) -> VCPUWaitState {
        var state = VCPUWaitState()
        // First, because it lets KVM take INIT and start-up interrupts that are on their way.
        state.activity = try activity()
        guard state.activity == .halted else { return state }
        state.takesInterrupts = try registers().rflags & RegisterBits.rflagsInterruptEnable != 0
        guard !state.takesInterrupts else { return state }
        let special = try specialRegisters()
        state.isHypervisor =
            special.efer & RegisterBits.eferSecureVirtualMachineEnable != 0
            || special.cr4 & RegisterBits.cr4VirtualMachineExtensions != 0
        state.hasPendingEvent = try hasPendingEvent()
        state.localVectors = try localVectors()
        return state
    }

    /// Puts the vCPU into HLT (KVM_SET_MP_STATE): it goes on with the next interrupt that it takes. Only on its own
    /// thread, and where KVM has the interrupt controllers.
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func halt() throws(KVMError) {
        var state = kvm_mp_state(mp_state: UInt32(KVM_MP_STATE_HALTED))
        let result = unsafe ckvm_set_mp_state(descriptor.number, &state)
        guard result >= 0 else { throw .failed("KVM_SET_MP_STATE", result) }
    }

    private func activity() throws(KVMError) -> VCPUWaitState.Activity {
        var state = kvm_mp_state()
        let result = unsafe ckvm_get_mp_state(descriptor.number, &state)
        guard result >= 0 else { throw .failed("KVM_GET_MP_STATE", result) }
        return switch Int32(truncatingIfNeeded: state.mp_state) {
        case KVM_MP_STATE_HALTED: .halted
        case KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED: .waitsForStart
        default: .runs
        }
    }

    /// Whether anything waits to be delivered that needs no RFLAGS.IF (KVM_GET_VCPU_EVENTS).
    private func hasPendingEvent() throws(KVMError) -> Bool {
        var events = kvm_vcpu_events()
        let result = unsafe ckvm_get_vcpu_events(descriptor.number, &events)
        guard result >= 0 else { throw .failed("KVM_GET_VCPU_EVENTS", result) }
        let pending = [
            events.exception.injected, events.exception.pending, events.interrupt.injected, events.nmi.injected,
            events.nmi.pending, events.smi.pending, events.smi.latched_init,
        ]
        return pending.contains { $0 != 0 }
    }

    /// LVT LINT0 and LVT performance counters (KVM_GET_LAPIC).
    ///
    /// The others raise no NMI: the timer has no delivery mode, LINT1 and the thermal sensor's are connected to nothing
    /// in KVM. Source: Linux, arch/x86/kvm/lapic.c, the callers of kvm_apic_local_deliver; Intel SDM, volume 3, "Local
    /// Vector Table".
    private func localVectors() throws(KVMError) -> [UInt32] {
        var state = kvm_lapic_state()
        let result = unsafe ckvm_get_lapic(descriptor.number, &state)
        guard result >= 0 else { throw .failed("KVM_GET_LAPIC", result) }
        return unsafe withUnsafeBytes(of: &state) { page in
            // Sound: both offsets are inside the 1024 bytes of the APIC's registers, and aligned.
            [0x340, 0x350].map { unsafe page.load(fromByteOffset: $0, as: UInt32.self) }
        }
    }
}

extension VirtualMachine {
    /// The redirection table of the IOAPIC inside KVM, an entry a pin (KVM_GET_IRQCHIP).
    ///
    /// - Throws: ``KVMError`` when the ioctl fails.
    package func redirections() throws(KVMError) -> [UInt64] {
        var entries = [UInt64](repeating: 0, count: Int(KVM_IOAPIC_NUM_PINS))
        let result = unsafe ckvm_get_redirections(descriptor.number, &entries)
        guard result >= 0 else { throw .failed("KVM_GET_IRQCHIP", result) }
        return entries
    }
}
