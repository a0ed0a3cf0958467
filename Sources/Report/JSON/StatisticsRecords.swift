import Counters
import KVM

/// The sums over all kinds, in the JSON format.
struct TotalRecord: Encodable {
    private let statistics: VCPUStatistics

    init(_ statistics: VCPUStatistics) {
        self.statistics = statistics
    }

    private enum CodingKeys: String, CodingKey {
        case exits
        case serviceCycles = "service_cycles"
        case runCycles = "run_cycles"
        case internalExits = "internal_exits"
        case internalCycles = "internal_cycles"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(statistics.exits, forKey: .exits)
        try container.encode(statistics.serviceCycles, forKey: .serviceCycles)
        try container.encode(statistics.runCycles, forKey: .runCycles)
        try container.encode(statistics.internalExits, forKey: .internalExits)
        try container.encode(statistics.internalCycles, forKey: .internalCycles)
    }
}

/// One vCPU, in the JSON format: its totals, and its kinds.
struct VCPURecord: Encodable {
    private let statistics: VCPUStatistics

    init(_ statistics: VCPUStatistics) {
        self.statistics = statistics
    }

    private enum CodingKeys: String, CodingKey {
        case vcpu
        case total
        case kinds
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(statistics.vcpu, forKey: .vcpu)
        try container.encode(TotalRecord(statistics), forKey: .total)
        try container.encode(statistics.kinds.map(KindRecord.init), forKey: .kinds)
    }
}

/// The exits of one kind, in the JSON format.
struct KindRecord: Encodable {
    private let statistics: KindStatistics

    init(_ statistics: KindStatistics) {
        self.statistics = statistics
    }

    private enum CodingKeys: String, CodingKey {
        case kind
        case sdm
        case exits
        case serviceCycles = "service_cycles"
        case p50
        case p99
        case max
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(statistics.kind.name, forKey: .kind)
        try container.encode(statistics.kind.basicExitReason?.rawValue, forKey: .sdm)
        try container.encode(statistics.exits, forKey: .exits)
        try container.encode(statistics.serviceCycles, forKey: .serviceCycles)
        try container.encode(statistics.p50, forKey: .p50)
        try container.encode(statistics.p99, forKey: .p99)
        try container.encode(statistics.max, forKey: .max)
    }
}

/// An address that nobody claims, in the JSON format.
struct UnclaimedRecord: Encodable {
    package let address: UInt64
    package let reads: UInt64
    package let writes: UInt64

    init(_ unclaimed: UnclaimedAddress) {
        address = unclaimed.address
        reads = unclaimed.reads
        writes = unclaimed.writes
    }
}

/// What KVM itself counted of one vCPU, in the JSON format: what is not zero, by KVM's names.
struct KernelRecord: Encodable {
    package let vcpu: Int
    package let counts: [String: UInt64]

    init(vcpu: Int, _ statistics: KernelStatistics) {
        self.vcpu = vcpu
        counts = Dictionary(KernelCounts([statistics]).counts.map { ($0.name, $0.value) }) { first, _ in first }
    }
}

/// Exits over time, in the JSON format.
struct TimeSeriesRecord: Encodable {
    /// The exits of one kind in each interval.
    package struct Series: Encodable {
        package let kind: String
        package let exits: [UInt64]

        init(_ series: ExitTimeline.Series) {
            kind = series.kind.name
            exits = series.exits
        }
    }

    /// The same of one vCPU.
    package struct OneVCPU: Encodable {
        let vcpu: Int
        let kinds: [Series]
        let kernelSettled: [KernelSeries]?

        private enum CodingKeys: String, CodingKey {
            case vcpu
            case kinds
            case kernelSettled = "kernel_settled"
        }
    }

    /// The exits of one type that KVM settled in each interval.
    package struct KernelSeries: Encodable {
        let name: String
        let sdm: UInt32?
        let exits: [UInt64]

        init(_ series: ExitTimeline.KernelSeries) {
            name = series.name
            sdm = series.type?.rawValue
            exits = series.exits
        }

        private enum CodingKeys: String, CodingKey {
            case name
            case sdm
            case exits
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(sdm, forKey: .sdm)
            try container.encode(exits, forKey: .exits)
        }
    }

    package let intervalCycles: UInt64
    package let intervals: Int
    package let kinds: [Series]
    /// Left out unless every exit was counted.
    package let kernelSettled: [KernelSeries]?
    /// Left out where there is one vCPU.
    package let vcpus: [OneVCPU]?

    init(_ timeline: ExitTimeline) {
        let isAll = !timeline.kernelSeries.isEmpty
        kernelSettled = isAll ? timeline.kernelSeries.map(KernelSeries.init) : nil
        intervalCycles = timeline.intervalCycles
        intervals = timeline.intervalCount
        kinds = timeline.series.map(Series.init)
        let vcpus = timeline.vcpus.enumerated().map { index, vcpu in
            OneVCPU(
                vcpu: index, kinds: vcpu.series.map(Series.init),
                kernelSettled: isAll ? vcpu.kernelSeries.map(KernelSeries.init) : nil)
        }
        self.vcpus = vcpus.count > 1 ? vcpus : nil
    }

    private enum CodingKeys: String, CodingKey {
        case intervalCycles = "interval_cycles"
        case intervals
        case kinds
        case kernelSettled = "kernel_settled"
        case vcpus
    }
}

/// How the service times of a kind are distributed, in the JSON format.
struct DistributionRecord: Encodable {
    /// The exits that took at least `from` and less than `below` cycles.
    package struct Class: Encodable {
        package let from: UInt64
        package let below: UInt64
        package let exits: UInt64
    }

    package let kind: String
    package let classes: [Class]

    init(_ distribution: ServiceTimeDistribution) {
        kind = distribution.kind.name
        classes = distribution.classes.map { item in
            Class(
                from: ServiceTimeDistribution.leastCycles(ofClass: item.number),
                below: ServiceTimeDistribution.leastCycles(ofClass: item.number + 1), exits: item.exits)
        }
    }
}
