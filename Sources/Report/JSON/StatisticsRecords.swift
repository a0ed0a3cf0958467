import Counters
import Host
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

/// The exits that KVM settled itself, in the JSON format. Times in nanoseconds.
struct KernelSettledRecord: Encodable {
    /// The exits for one of the processor's reasons.
    struct Reason: Encodable {
        private let row: KernelSettledExits.Row
        private let isSVM: Bool

        init(_ row: KernelSettledExits.Row, isSVM: Bool) {
            self.row = row
            self.isSVM = isSVM
        }

        private enum CodingKeys: String, CodingKey {
            case name
            case code
            case sdm
            case exits
            case processorExits = "processor_exits"
            case carriedExits = "carried_exits"
            case nanoseconds = "ns"
            case passedOnNanoseconds = "passed_on_ns"
            case haltedNanoseconds = "halted_ns"
            case p50 = "p50_ns"
            case p99 = "p99_ns"
            case maximum = "max_ns"
            case histogram
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(row.name(isSVM: isSVM), forKey: .name)
            try container.encode(row.code, forKey: .code)
            try container.encode(row.reason?.rawValue, forKey: .sdm)
            try container.encode(row.exits, forKey: .exits)
            try container.encode(row.hardwareExits, forKey: .processorExits)
            try container.encode(row.carriedExits, forKey: .carriedExits)
            try container.encode(row.nanoseconds, forKey: .nanoseconds)
            try container.encode(row.passedOnNanoseconds, forKey: .passedOnNanoseconds)
            try container.encode(row.haltedNanoseconds, forKey: .haltedNanoseconds)
            try container.encode(row.quantile(0.5), forKey: .p50)
            try container.encode(row.quantile(0.99), forKey: .p99)
            try container.encode(row.maximum, forKey: .maximum)
            try container.encode(row.histogram, forKey: .histogram)
        }
    }

    /// One vCPU.
    struct OneVCPU: Encodable {
        let vcpu: Int
        let reasons: [Reason]
    }

    private let processorExtension: String
    private let exits: UInt64
    private let processorExits: UInt64
    private let kernelCount: UInt64?
    private let nanoseconds: UInt64
    private let haltedNanoseconds: UInt64
    private let reasons: [Reason]
    private let vcpus: [OneVCPU]
    private let places: PlacesRecord?

    init(_ settled: KernelSettledExits) {
        let isSVM = settled.isSVM
        places = settled.places.map { PlacesRecord($0, isSVM: isSVM) }
        processorExtension = isSVM ? "svm" : "vmx"
        exits = settled.exits
        processorExits = settled.hardwareExits
        kernelCount = settled.kernelCount
        nanoseconds = settled.nanoseconds
        haltedNanoseconds = settled.haltedNanoseconds
        reasons = settled.rows.map { Reason($0, isSVM: isSVM) }
        vcpus = settled.vcpus.enumerated().map { index, rows in
            OneVCPU(vcpu: index, reasons: rows.map { Reason($0, isSVM: isSVM) })
        }
    }

    private enum CodingKeys: String, CodingKey {
        case processorExtension = "extension"
        case exits
        case processorExits = "processor_exits"
        case kernelCount = "kvm_exits"
        case nanoseconds = "ns"
        case haltedNanoseconds = "halted_ns"
        case reasons
        case vcpus
        case places
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(places, forKey: .places)
        try container.encode(processorExtension, forKey: .processorExtension)
        try container.encode(exits, forKey: .exits)
        try container.encode(processorExits, forKey: .processorExits)
        try container.encode(kernelCount, forKey: .kernelCount)
        try container.encode(nanoseconds, forKey: .nanoseconds)
        try container.encode(haltedNanoseconds, forKey: .haltedNanoseconds)
        try container.encode(reasons, forKey: .reasons)
        try container.encode(vcpus, forKey: .vcpus)
    }
}

/// Where exits come from that KVM settled itself, in the JSON format.
struct PlacesRecord: Encodable {
    /// One place. Numbers of 64 bits are strings, because not every JSON reader keeps them.
    struct Place: Encodable {
        let vcpu: Int
        let name: String
        let sdm: UInt32?
        let address: String?
        let subject: String?
        let exits: UInt64
        let nanoseconds: UInt64

        private enum CodingKeys: String, CodingKey {
            case vcpu
            case name
            case sdm
            case address
            case subject
            case exits
            case nanoseconds = "ns"
        }

        // Written out because the compiler's own version leaves out what is nil.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(vcpu, forKey: .vcpu)
            try container.encode(name, forKey: .name)
            try container.encode(sdm, forKey: .sdm)
            try container.encode(address, forKey: .address)
            try container.encode(subject, forKey: .subject)
            try container.encode(exits, forKey: .exits)
            try container.encode(nanoseconds, forKey: .nanoseconds)
        }
    }

    let places: [Place]
    let lostExits: UInt64

    private enum CodingKeys: String, CodingKey {
        case places
        case lostExits = "lost_exits"
    }

    init(_ kept: KernelExitPlaces, isSVM: Bool) {
        lostExits = kept.lostExits
        places = kept.places.map { place in
            Place(
                vcpu: place.vcpu,
                name: KernelSettledExits.Row.name(code: place.code, reason: place.reason, isSVM: isSVM),
                sdm: place.reason?.rawValue, address: place.address.map(Hex.number), subject: place.subject?.text,
                exits: place.exits, nanoseconds: place.nanoseconds)
        }
    }
}

/// Exits over time, in the JSON format.
struct TimeSeriesRecord: Encodable {
    /// The exits of one kind in each interval.
    package struct Series: Encodable {
        package let kind: String
        package let exits: [UInt64]
    }

    /// The exits of one type that KVM settled in each interval.
    package struct KernelSeries: Encodable {
        let name: String
        let sdm: UInt32?
        let exits: [UInt64]

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

    init(_ timeline: ExitTimeline) {
        kernelSettled =
            timeline.kernelSeries.isEmpty
            ? nil
            : timeline.kernelSeries.map {
                KernelSeries(name: $0.name, sdm: $0.type?.rawValue, exits: $0.exits)
            }
        intervalCycles = timeline.intervalCycles
        intervals = timeline.intervalCount
        kinds = timeline.series.map { Series(kind: $0.kind.name, exits: $0.exits) }
    }

    private enum CodingKeys: String, CodingKey {
        case intervalCycles = "interval_cycles"
        case intervals
        case kinds
        case kernelSettled = "kernel_settled"
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
