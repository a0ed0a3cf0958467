public import Counters

/// The counters of a run that goes on, as a table for a terminal of 80 columns.
///
/// It has no percentiles: what they are taken from must not be read while a vCPU runs.
public struct LiveReport: Sendable {
    private let snapshot: CounterSnapshot
    private let tscKHz: UInt32?

    /// A report of the counters at some moment.
    ///
    /// - Parameters:
    ///   - snapshot: The counters.
    ///   - tscKHz: The frequency of the time-stamp counter, where it is known.
    public init(_ snapshot: CounterSnapshot, tscKHz: UInt32?) {
        self.snapshot = snapshot
        self.tscKHz = tscKHz
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        (table + [summary]).map { $0 + "\n" }.joined()
    }

    private var table: [String] {
        var table = TextTable([.left] + Array(repeating: .right, count: 7))
        table.add(["exit", "SDM", "count", "share", "cycles", "mean", "max", "time"])
        for kind in snapshot.kinds.sorted(by: { $0.serviceCycles > $1.serviceCycles }) {
            table.add([
                kind.kind.name,
                kind.kind.basicExitReason.map { String($0.rawValue) } ?? "-",
                String(kind.exits),
                HumanNumber.share(kind.serviceCycles, of: snapshot.serviceCycles),
                HumanNumber.count(kind.serviceCycles),
                HumanNumber.count(kind.mean),
                HumanNumber.count(kind.max),
                time(kind.serviceCycles),
            ])
        }
        let mean = snapshot.exits == 0 ? 0 : Double(snapshot.serviceCycles) / Double(snapshot.exits)
        table.add([
            "total", "", String(snapshot.exits), snapshot.exits == 0 ? "-" : "100%",
            HumanNumber.count(snapshot.serviceCycles), HumanNumber.count(mean), "", time(snapshot.serviceCycles),
        ])
        return table.lines
    }

    private func time(_ cycles: UInt64) -> String {
        guard let tscKHz else { return "-" }
        return HumanNumber.seconds(Double(cycles) / (Double(tscKHz) * 1000))
    }

    private var summary: String {
        let own = snapshot.serviceCycles &+ snapshot.internalCycles
        let all = own &+ snapshot.runCycles
        return "So far: \(HumanNumber.share(own, of: all)) of the time in MiniVMM, "
            + "\(HumanNumber.share(snapshot.runCycles, of: all)) in KVM_RUN."
    }
}

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
    ///   - snapshot: The counters.
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
    private static let maximumKindCount = 3

    /// The line: at most 79 columns, without a newline.
    public var text: String {
        var parts = [
            HumanNumber.fixed(elapsed, digits: 1) + " s", HumanNumber.count(snapshot.exits) + " exits",
        ]
        parts += rates.prefix(Self.maximumKindCount).map { "\($0.name) \(HumanNumber.count($0.rate))/s" }
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
