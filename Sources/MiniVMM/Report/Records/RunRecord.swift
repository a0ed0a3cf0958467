/// A run as the JSON object that `--stats json` writes. `Schemas/run.schema.json` describes it.
///
/// Cycles are those of the host's time-stamp counter. Keys that may be null are always present.
public struct RunRecord: Encodable, Sendable {
    private let outcome: RunOutcome
    private let leaves: CounterLeaves
    private let context: RunContext?

    /// The version of the format: raised when something is renamed or removed, not when something is added.
    public static let schemaVersion = 1

    /// The record of a run.
    ///
    /// - Parameters:
    ///   - leaves: The layout of the counter leaves that the run had.
    ///   - context: Who asked for what, when and where, if that is to be told.
    public init(_ outcome: RunOutcome, leaves: CounterLeaves, context: RunContext? = nil) {
        self.outcome = outcome
        self.leaves = leaves
        self.context = context
    }

    /// The record as one JSON object on several lines, with sorted keys and a newline at the end.
    public func json() throws -> [UInt8] { try JSONText.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case schema
        case outcome
        case durationNanoseconds = "duration_ns"
        case tscKHz = "tsc_khz"
        case leaves
        case trap = "cpuid_trap"
        case total
        case kinds
        case vcpus
        case unclaimedPorts = "unclaimed_ports"
        case unclaimedPages = "unclaimed_pages"
        case kernelStatistics = "kernel_statistics"
        case context
        case timeSeries = "time_series"
        case distributions
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let total = outcome.statistics.total
        try container.encode(Self.schemaVersion, forKey: .schema)
        try container.encode(OutcomeRecord(outcome.ending), forKey: .outcome)
        let (seconds, attoseconds) = outcome.duration.components
        try container.encode(seconds * 1_000_000_000 + attoseconds / 1_000_000_000, forKey: .durationNanoseconds)
        try container.encode(outcome.tscKHz, forKey: .tscKHz)
        try container.encode(leaves.rawValue, forKey: .leaves)
        try container.encode(outcome.trap.rawValue, forKey: .trap)
        try container.encode(TotalRecord(total), forKey: .total)
        try container.encode(total.kinds.map(KindRecord.init), forKey: .kinds)
        try container.encode(outcome.statistics.vcpus.map(VCPURecord.init), forKey: .vcpus)
        try container.encode(outcome.unclaimedPorts.map(UnclaimedRecord.init), forKey: .unclaimedPorts)
        try container.encode(outcome.unclaimedPages.map(UnclaimedRecord.init), forKey: .unclaimedPages)
        let kernel = outcome.kernelStatistics.enumerated().map { KernelRecord(vcpu: $0.offset, $0.element) }
        try container.encode(kernel.isEmpty ? nil : kernel, forKey: .kernelStatistics)
        try container.encode(context.map(ContextRecord.init), forKey: .context)
        try container.encode(outcome.timeline.map(TimeSeriesRecord.init), forKey: .timeSeries)
        let distributions = outcome.timeline.map { _ in outcome.distributions.map(DistributionRecord.init) }
        try container.encode(distributions, forKey: .distributions)
    }
}
