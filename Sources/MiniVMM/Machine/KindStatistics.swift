import Histogram

/// What a run's exits of one kind came to.
public struct KindStatistics: Hashable, Sendable {
    /// The kind.
    public let kind: ExitKind
    /// How many there were.
    public let exits: UInt64
    /// The service time of all of them, in cycles.
    public let serviceCycles: UInt64
    /// The median of the service times, in cycles, to two significant digits.
    public let p50: UInt64
    /// The 99th percentile of the service times, in cycles, to two significant digits.
    public let p99: UInt64
    /// The longest service time, in cycles.
    public let max: UInt64

    /// The mean service time, in cycles.
    public var mean: Double { exits == 0 ? 0 : Double(serviceCycles) / Double(exits) }
}

extension KindStatistics {
    /// The sum over several vCPUs. Only when they are stopped.
    ///
    /// - Returns: nil when there was no such exit.
    init?(_ kind: ExitKind, of counters: [ExitCounters]) {
        exits = counters.reduce(0) { $0 &+ $1.exits(of: kind) }
        guard exits > 0 else { return nil }
        self.kind = kind
        serviceCycles = counters.reduce(0) { $0 &+ $1.serviceCycles(of: kind) }
        max = counters.reduce(0) { Swift.max($0, $1.greatestServiceCycles(of: kind)) }
        let merged = Self.merged(counters.compactMap { $0.histogram(of: kind) })
        p50 = merged?.value(atPercentile: 50) ?? 0
        p99 = merged?.value(atPercentile: 99) ?? 0
    }

    /// The sum of histograms. That of one is itself, without a copy.
    private static func merged(_ histograms: [Histogram<UInt64>]) -> Histogram<UInt64>? {
        guard var sum = histograms.first else { return nil }
        for histogram in histograms.dropFirst() { sum.add(histogram) }
        return sum
    }
}
