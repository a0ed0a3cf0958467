public import Counters
import Host

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
        if let breakdown = ExitBreakdown(snapshot) { return allExitsTable(breakdown) }
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

    /// The table of every exit, whoever settled it, by what they took.
    private func allExitsTable(_ breakdown: ExitBreakdown) -> [String] {
        let (exits, all) = (breakdown.exits, breakdown.nanoseconds)
        var table = TextTable([.left, .right, .left] + Array(repeating: .right, count: 5))
        table.add(["exit", "SDM", "by", "count", "share", "mean", "max", "time"])
        for row in breakdown.rows {
            table.add([
                row.name, row.type.map { String($0.rawValue) } ?? "-", row.settler.rawValue, String(row.exits),
                HumanNumber.share(UInt64(row.nanoseconds), of: UInt64(all)),
                HumanNumber.seconds(row.nanoseconds / Double(max(row.exits, 1)) / 1e9),
                HumanNumber.seconds(row.maximum / 1e9), HumanNumber.seconds(row.nanoseconds / 1e9),
            ])
        }
        table.add([
            "total", "", "", String(exits), all > 0 ? "100%" : "-",
            HumanNumber.seconds(all / Double(max(exits, 1)) / 1e9), "", HumanNumber.seconds(all / 1e9),
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

/// How a run goes, in a line: the time, the exits, and how many there are of the busiest kinds a second; of the busiest
/// types, whoever settles them, where every exit is counted.
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
    public var text: String { Self.text(seconds: elapsed, exits: snapshot.allExits, rates: rates) }

    /// A line of at most 79 columns, without a newline.
    ///
    /// - Parameters:
    ///   - seconds: How long it has taken so far.
    ///   - exits: All exits so far.
    ///   - rates: Exits a second; those that are none are left out.
    package static func text(seconds: Double, exits: UInt64, rates: [(name: String, rate: Double)]) -> String {
        let busiest = rates.filter { $0.rate > 0 }.sorted { $0.rate > $1.rate }.prefix(maximumKindCount)
        let parts =
            [HumanNumber.fixed(seconds, digits: 1) + " s", HumanNumber.count(exits) + " exits"]
            + busiest.map { "\($0.name) \(HumanNumber.count($0.rate))/s" }
        return String(parts.joined(separator: "  ").prefix(79))
    }

    /// How many there were of each kind, or type, since the last line.
    private var rates: [(name: String, rate: Double)] {
        guard interval > 0 else { return [] }
        let before = Dictionary(previous?.exitsByName ?? [], uniquingKeysWith: { first, _ in first })
        return snapshot.exitsByName.map { name, exits in
            let earlier = before[name] ?? 0
            // An exit in progress counts as KVM's until it comes out, so that a number may fall by it.
            return (name, exits > earlier ? Double(exits &- earlier) / interval : 0)
        }
    }
}

extension CounterSnapshot {
    /// All exits: MiniVMM's, and KVM's where they are counted.
    fileprivate var allExits: UInt64 { exits &+ (kernelSettled?.exits ?? 0) }

    /// The exits of each kind; by type, whoever settles them, where every exit is counted.
    fileprivate var exitsByName: [(String, UInt64)] {
        ExitBreakdown(self).map { $0.types.map { ($0.name, $0.exits) } } ?? kinds.map { ($0.kind.name, $0.exits) }
    }
}
