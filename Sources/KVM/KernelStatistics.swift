import CKVM

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

/// One of the statistics that KVM keeps of a virtual machine or a vCPU.
///
/// Source: Linux, Documentation/virt/kvm/api.rst, "KVM_GET_STATS_FD".
public struct KernelStatistic: Hashable, Sendable {
    /// The name, such as `exits`. Names differ from one kernel to another.
    public let name: String
    /// What the numbers mean.
    public let kind: Kind
    /// What the numbers count.
    public let unit: Unit
    /// The power of ``base`` that the numbers are to be multiplied with: -9 with base 10 for nanoseconds.
    public let exponent: Int
    /// The base of the power.
    public let base: Base
    /// One number, or one a bucket for a histogram.
    public let values: [UInt64]

    /// What a statistic's numbers mean.
    public enum Kind: Hashable, Sendable {
        /// A sum that only grows.
        case cumulative
        /// What is so at the moment.
        case instant
        /// The maximum value so far.
        case peak
        /// How many values fell into each of a row of buckets of this size. The last bucket is open above.
        case linearHistogram(bucketSize: UInt32)
        /// How many values fell into each of a row of buckets that double in size. The last bucket is open above.
        case logarithmicHistogram
        /// A kind that this version does not know, by its number.
        case unknown(UInt32)
    }

    /// What a statistic's numbers count.
    public enum Unit: Hashable, Sendable {
        /// Events, pages and the like.
        case none
        /// Bytes.
        case bytes
        /// Seconds; most often with an exponent.
        case seconds
        /// Cycles of the processor.
        case cycles
        /// 0 or 1.
        case boolean
        /// A unit that this version does not know, by its number.
        case unknown(UInt32)
    }

    /// The base of a statistic's exponent.
    public enum Base: Hashable, Sendable {
        /// 10.
        case ten
        /// 2.
        case two
        /// A base that this version does not know, by its number.
        case unknown(UInt32)
    }
}

extension KernelStatistic {
    /// The number of a statistic that has one, or nil for a histogram.
    public var value: UInt64? {
        values.count == 1 && !isHistogram ? values[0] : nil
    }

    /// Whether the numbers are those of buckets.
    public var isHistogram: Bool {
        switch kind {
        case .linearHistogram, .logarithmicHistogram: true
        case .cumulative, .instant, .peak, .unknown: false
        }
    }

    /// The least value of a histogram's bucket, in the statistic's unit; it ends below the next bucket's. `UInt64.max`
    /// where that exceeds 64 bits, and nil when there is no such bucket.
    public func lowerBound(ofBucket index: Int) -> UInt64? {
        guard values.indices.contains(index) else { return nil }
        switch kind {
        case .linearHistogram(let size):
            let (bound, overflow) = UInt64(index).multipliedReportingOverflow(by: UInt64(size))
            return overflow ? .max : bound
        case .logarithmicHistogram:
            // 0, 1, 2, 4, 8, …
            if index == 0 { return 0 }
            return index <= UInt64.bitWidth ? 1 << UInt64(index - 1) : .max
        case .cumulative, .instant, .peak, .unknown:
            return nil
        }
    }
}

extension KernelStatistic.Kind {
    init(flags: UInt32, bucketSize: UInt32) {
        self =
            switch ckvm_stats_type(flags) {
            case ckvm_stats_type(UInt32(KVM_STATS_TYPE_CUMULATIVE)): .cumulative
            case ckvm_stats_type(UInt32(KVM_STATS_TYPE_INSTANT)): .instant
            case ckvm_stats_type(UInt32(KVM_STATS_TYPE_PEAK)): .peak
            case ckvm_stats_type(UInt32(KVM_STATS_TYPE_LINEAR_HIST)): .linearHistogram(bucketSize: bucketSize)
            case ckvm_stats_type(UInt32(KVM_STATS_TYPE_LOG_HIST)): .logarithmicHistogram
            case let other: .unknown(other)
            }
    }
}

extension KernelStatistic.Unit {
    init(flags: UInt32) {
        self =
            switch ckvm_stats_unit(flags) {
            case ckvm_stats_unit(UInt32(KVM_STATS_UNIT_NONE)): .none
            case ckvm_stats_unit(UInt32(KVM_STATS_UNIT_BYTES)): .bytes
            case ckvm_stats_unit(UInt32(KVM_STATS_UNIT_SECONDS)): .seconds
            case ckvm_stats_unit(UInt32(KVM_STATS_UNIT_CYCLES)): .cycles
            case ckvm_stats_unit(UInt32(KVM_STATS_UNIT_BOOLEAN)): .boolean
            case let other: .unknown(other)
            }
    }
}

extension KernelStatistic.Base {
    init(flags: UInt32) {
        self =
            switch ckvm_stats_base(flags) {
            case ckvm_stats_base(UInt32(KVM_STATS_BASE_POW10)): .ten
            case ckvm_stats_base(UInt32(KVM_STATS_BASE_POW2)): .two
            case let other: .unknown(other)
            }
    }
}
