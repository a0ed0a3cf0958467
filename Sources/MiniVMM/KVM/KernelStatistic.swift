import CKVM

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
        /// The greatest value so far.
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
