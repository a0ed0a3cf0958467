/// How a run goes, in a line: the time, the exits, and how many there are of the busiest kinds a second.
public struct LiveLine: Sendable {
    private let snapshot: CounterSnapshot
    private let previous: CounterSnapshot?
    /// Seconds.
    private let elapsed: Double
    private let interval: Double

    /// A line about the counters at some moment.
    ///
    /// - Parameters:
    ///   - previous: What the counters said before, if there was a line before.
    ///   - elapsed: How long the run has taken so far.
    ///   - interval: The time between the two snapshots.
    public init(_ snapshot: CounterSnapshot, previous: CounterSnapshot?, elapsed: Duration, interval: Duration) {
        self.snapshot = snapshot
        self.previous = previous
        self.elapsed = elapsed.inSeconds
        self.interval = interval.inSeconds
    }

    /// The most kinds that are named.
    private static let greatestKindCount = 3

    /// The line: at most 79 columns, without a newline.
    public var text: String {
        var parts = [
            HumanNumber.fixed(elapsed, digits: 1) + " s", HumanNumber.count(snapshot.exits) + " exits",
        ]
        parts += rates.prefix(Self.greatestKindCount).map { "\($0.name) \(HumanNumber.count($0.rate))/s" }
        return String(parts.joined(separator: "  ").prefix(79))
    }

    /// The kinds of which there were exits since the last line, the busiest first.
    private var rates: [(name: String, rate: Double)] {
        guard interval > 0 else { return [] }
        let before = Dictionary(
            (previous?.kinds ?? []).map { ($0.kind, $0.exits) }, uniquingKeysWith: { first, _ in first })
        return snapshot.kinds
            .map { ($0.kind.name, Double($0.exits &- (before[$0.kind] ?? 0)) / interval) }
            .filter { $0.1 > 0 }
            .sorted { $0.1 > $1.1 }
    }
}

extension Duration {
    /// The duration in seconds.
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
