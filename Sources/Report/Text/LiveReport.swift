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
        if let kernel = snapshot.kernelSettled { return allExitsTable(kernel) }
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
    private func allExitsTable(_ kernel: KernelSettledExits) -> [String] {
        let scale = 1 / kernel.cyclesPerNanosecond
        let settled = KernelSettledExits.Row.byReason(kernel.rows).filter { $0.exits > 0 }.map { row in
            LiveRow(
                name: row.name(isSVM: kernel.isSVM), type: row.reason, settler: .kvm, exits: row.exits,
                nanoseconds: Double(row.nanoseconds), maximum: Double(row.maximum))
        }
        let own = snapshot.kinds.map { kind in
            LiveRow(
                name: kind.kind.name, type: kind.kind.basicExitReason, settler: .miniVMM, exits: kind.exits,
                nanoseconds: Double(kind.serviceCycles) * scale, maximum: Double(kind.max) * scale)
        }
        let rows = (settled + own).sorted { ($0.nanoseconds, $0.exits) > ($1.nanoseconds, $1.exits) }
        let exits = rows.reduce(0) { $0 &+ $1.exits }
        let all = rows.reduce(0) { $0 + $1.nanoseconds }
        var table = TextTable([.left, .right, .left] + Array(repeating: .right, count: 5))
        table.add(["exit", "SDM", "by", "count", "share", "mean", "max", "time"])
        for row in rows {
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

    /// The exits of one type that KVM settled, or of one kind. Times in nanoseconds.
    private struct LiveRow {
        let name: String
        let type: BasicExitReason?
        let settler: ExitBreakdown.Settler
        let exits: UInt64
        let nanoseconds: Double
        let maximum: Double
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
    public var text: String {
        var parts = [
            HumanNumber.fixed(elapsed, digits: 1) + " s", HumanNumber.count(snapshot.allExits) + " exits",
        ]
        parts += rates.prefix(Self.maximumKindCount).map { "\($0.name) \(HumanNumber.count($0.rate))/s" }
        return String(parts.joined(separator: "  ").prefix(79))
    }

    /// The kinds, or types, of which there were exits since the last line, the busiest first.
    private var rates: [(name: String, rate: Double)] {
        guard interval > 0 else { return [] }
        let before = Dictionary(previous?.exitsByName ?? [], uniquingKeysWith: { first, _ in first })
        return snapshot.exitsByName
            .map { name, exits in
                let earlier = before[name] ?? 0
                // An exit in progress counts as KVM's until it comes out, so that a number may fall by it.
                return (name, exits > earlier ? Double(exits &- earlier) / interval : 0)
            }
            .filter { $0.1 > 0 }
            .sorted { $0.1 > $1.1 }
    }
}

extension CounterSnapshot {
    /// All exits: MiniVMM's, and KVM's where they are counted.
    fileprivate var allExits: UInt64 { exits &+ (kernelSettled?.exits ?? 0) }

    /// The exits of each kind; by type, whoever settles them, where every exit is counted.
    fileprivate var exitsByName: [(String, UInt64)] {
        guard let kernel = kernelSettled else { return kinds.map { ($0.kind.name, $0.exits) } }
        let own = kinds.map { ($0.kind.name, $0.kind.basicExitReason, $0.exits, 0.0) }
        let settled = kernel.rows.filter { $0.exits > 0 }.map {
            ($0.name(isSVM: kernel.isSVM), $0.reason, $0.exits, 0.0)
        }
        return ExitBreakdown.TypeSum.sums(of: own + settled).map { ($0.name, $0.exits) }
    }
}

extension Duration {
    /// The duration in seconds.
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
