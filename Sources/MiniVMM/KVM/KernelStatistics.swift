/// What KVM itself has counted of a virtual machine or a vCPU, exits that it settled alone included
/// (KVM_GET_STATS_FD).
///
/// How the statistics of a vCPU relate to MiniVMM's own counts:
///
/// - `exits` grows by one whenever the processor comes back from the guest to KVM, whatever for. An IN, OUT, HLT or
///   MMIO access that exits to MiniVMM is one of them. Added to these are the exits that MiniVMM never hears of: host
///   interrupts that arrive while the guest runs, page faults on guest memory that KVM maps, CPUID, MSRs, and HLT with
///   KVM's own interrupt controllers.
/// - Seen where KVM's emulator runs real mode: `storm` with N OUTs counts N + 1 as it does in MiniVMM (the one is the
///   HLT), and on a busy host a few in ten thousand more. The instructions between the OUTs are no exits; they are
///   counted in `insn_emulation`, which is 3 N + 4.
/// - `exits` is less than MiniVMM's own and internal exits together where KVM_RUN returns without entering the guest:
///   with EINTR for a kick, and so half of the times in single-step mode; and for the second and further parts of an
///   MMIO access that KVM passes on in parts.
/// - `halt_exits` is one per HLT, with or without KVM's interrupt controllers.
/// - `io_exits` counts the I/O instructions that the processor intercepts, so that it stays at 0 where KVM's emulator
///   runs the guest. `mmio_exits` counts the MMIO accesses that KVM passes on.
///
/// Source: Linux, Documentation/virt/kvm/api.rst, "KVM_GET_STATS_FD"; arch/x86/kvm/x86.c, vcpu_enter_guest(),
/// complete_emulated_mmio() and __kvm_emulate_halt(); arch/x86/kvm/vmx/vmx.c, handle_io().
public struct KernelStatistics: Hashable, Sendable {
    /// What KVM calls the virtual machine or vCPU: `kvm-` and the process's number, for a vCPU also `/vcpu-` and its id.
    public let identifier: String
    /// The statistics, in KVM's order.
    public let statistics: [KernelStatistic]

    /// The given statistics.
    public init(identifier: String, statistics: [KernelStatistic]) {
        self.identifier = identifier
        self.statistics = statistics
    }

    /// The statistic of a name, if this kernel has it.
    public func statistic(named name: String) -> KernelStatistic? {
        statistics.first { $0.name == name }
    }

    /// The number of a statistic that has a single one, or nil if this kernel has none of that name.
    public subscript(name: String) -> UInt64? {
        statistic(named: name)?.value
    }
}
