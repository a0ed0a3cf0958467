/// What KVM's names for its own statistics of a vCPU mean.
///
/// Source: Linux 6.12, arch/x86/kvm/x86.c and include/linux/kvm_host.h for the names, and the places in arch/x86/kvm and
/// virt/kvm that count for the meanings; Documentation/virt/kvm/halt-polling.rst.
package enum KernelCountNames {
    /// A sentence for a name, without its full stop; nil for one that is not known here.
    package static func meaning(of name: String) -> String? { meanings[name] }

    private static let meanings = Dictionary(all, uniquingKeysWith: { first, _ in first })

    /// All that are known: exits first, then what KVM did for them.
    package static let all: [(name: String, meaning: String)] = exits + paging + events + halts + nesting

    private static let exits = [
        ("exits", "Exits of the processor out of the guest, those that KVM settles by itself included"),
        ("io_exits", "Exits for IN, OUT and their string forms"),
        ("mmio_exits", "Instructions on MMIO that KVM passed on to user space"),
        ("irq_exits", "Exits because an interrupt of the host arrived"),
        ("irq_window_exits", "Exits as soon as the guest could take an interrupt that KVM held back"),
        ("nmi_window_exits", "Exits as soon as the guest could take an NMI that KVM held back"),
        ("request_irq_exits", "Returns to user space as soon as the guest could take an interrupt, as it had asked"),
        ("signal_exits", "Returns to user space because the thread had a signal"),
        ("halt_exits", "HLT instructions of the guest"),
        ("notify_window_exits", "Exits because the guest had let no event in for too long"),
        ("hypercalls", "VMCALL and VMMCALL instructions of the guest"),
        ("insn_emulation", "Instructions that KVM's emulator decoded in place of the processor"),
        ("insn_emulation_fail", "Instructions that KVM's emulator could not do"),
    ]

    private static let paging = [
        ("pf_taken", "Page faults of the guest, or violations of nested paging, that KVM looked into"),
        ("pf_fixed", "Page faults that ended with a new entry in KVM's page tables"),
        ("pf_fast", "Page faults that KVM settled without taking the MMU's lock"),
        ("pf_spurious", "Page faults whose entry was there already, made by another vCPU for one"),
        ("pf_emulate", "Page faults that KVM settled by emulating the instruction, on MMIO for one"),
        ("pf_mmio_spte_created", "Entries that KVM made to recognize further accesses to a page as MMIO"),
        ("pf_guest", "Page faults that KVM injected, since the guest's own tables forbid the access"),
        ("tlb_flush", "Flushes of the guest's entries in the TLB"),
        ("invlpg", "INVLPG instructions that KVM carried out"),
        ("l1d_flush", "Flushes of the level 1 data cache before an entry into the guest, against L1TF"),
    ]

    private static let events = [
        ("irq_injections", "Interrupts that KVM injected into the guest"),
        ("nmi_injections", "NMIs that KVM injected into the guest"),
        ("req_event", "Entries before which KVM looked for interrupts and other events to inject"),
        ("host_state_reload", "Times that KVM gave the host's segments and MSRs back, to leave the vCPU"),
        ("fpu_reload", "Times that KVM gave the thread's own FPU state back, to return to user space"),
        ("preemption_reported", "Times that the host preempted the thread between two instructions of the guest"),
        ("preemption_other", "Times that the host preempted it at another moment, which the guest is not told"),
        ("directed_yield_attempted", "Times that the guest asked for another of its vCPUs to run instead"),
        ("directed_yield_successful", "Times that the other vCPU then got to run"),
    ]

    private static let halts = [
        ("halt_attempted_poll", "Halts that KVM waited for actively at first, before it put the thread to sleep"),
        ("halt_successful_poll", "Halts that ended during the active wait"),
        ("halt_poll_invalid", "Active waits that ended for something that was no reason to wake the vCPU"),
        ("halt_wakeup", "Times that a vCPU was woken from a halt"),
        ("halt_poll_success_ns", "Nanoseconds of active waits that saw the halt end"),
        ("halt_poll_fail_ns", "Nanoseconds of active waits in vain"),
        ("halt_wait_ns", "Nanoseconds that the thread slept in halts"),
        ("blocking", "1 while the vCPU waits for something to do"),
    ]

    private static let nesting = [
        ("nested_run", "Entries into a guest that this guest runs itself"),
        ("guest_mode", "1 while the vCPU runs a guest of the guest"),
    ]
}
