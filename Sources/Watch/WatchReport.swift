import Counters
import Host
package import Report

/// The exits of a watched process, as a table for a terminal.
package struct WatchReport {
    private let outcome: WatchOutcome
    private let perVCPU: Bool
    private let style: TextStyle

    /// - Parameters:
    ///   - outcome: What the watch has come to.
    ///   - perVCPU: Whether each vCPU is shown besides the sums.
    ///   - style: How text is emphasized.
    package init(_ outcome: WatchOutcome, perVCPU: Bool = false, style: TextStyle = .plain) {
        self.outcome = outcome
        self.perVCPU = perVCPU
        self.style = style
    }

    /// The whole report. Every line ends with a newline.
    package var text: String {
        let exits = outcome.look.exits
        var lines = WatchTable(exits.rows, isSVM: exits.isSVM).lines(style)
        if perVCPU {
            for vcpu in outcome.shownVCPUs {
                let rows = exits.rows(ofVCPU: vcpu)
                lines +=
                    ["", style.text("vCPU \(vcpu)", as: .heading)] + WatchTable(rows, isSVM: exits.isSVM).lines(style)
            }
        }
        lines += [""] + summary + settled + hottest + lost + check + [ending]
        return lines.map { $0 + "\n" }.joined()
    }

    private var summary: [String] {
        let (exits, elapsed) = (outcome.look.exits.hardwareExits, outcome.look.elapsed.inSeconds)
        let rate = elapsed > 0 ? HumanNumber.count(Double(exits) / elapsed) : "-"
        let machines = outcome.machineCount > 1 ? " in \(outcome.machineCount) machines" : ""
        let count = outcome.vcpus.count
        return [
            "\(exits) exits of process \(outcome.process) (\(outcome.name), \(count) vCPU\(count == 1 ? "" : "s")"
                + "\(machines)) in \(HumanNumber.fixed(elapsed, digits: 1)) s: \(rate) a second."
        ]
    }

    private var settled: [String] {
        let exits = outcome.look.exits
        guard exits.hardwareExits > 0 else { return [] }
        let share = HumanNumber.share(exits.exits, of: exits.hardwareExits)
        let passedOn = exits.rows.reduce(0) { $0 &+ $1.passedOnExits }
        let ended = exits.exits &+ passedOn
        let count = exits.hardwareExits > ended ? exits.hardwareExits &- ended : 0
        let open = count == 0 ? "" : "; \(count) \(count == 1 ? "was" : "were") in progress at the end"
        return [
            "KVM settled \(exits.exits) of them itself (\(share)); \(passedOn) came out to the process (by VMM)\(open)."
        ]
    }

    /// The type that there were most of, and the one that took longest.
    private var hottest: [String] {
        let exits = outcome.look.exits
        guard exits.hardwareExits > 0 else { return [] }
        let rows = exits.rows.map { ($0.name(isSVM: exits.isSVM), $0.reason, $0.hardwareExits, Double($0.cost)) }
        return ExitBreakdown.TypeSum.extremes(ExitBreakdown.TypeSum.sums(of: rows), unit: "the time")
    }

    private var lost: [String] {
        let count = outcome.look.lostExits
        return count == 0 ? [] : ["\(count) more exits are in no row: of vCPUs that came later and had no place."]
    }

    /// KVM's own count against the tracepoints'.
    private var check: [String] {
        guard let check = outcome.check else { return ["Check: KVM's own count (debugfs) cannot be read."] }
        let range = check.tracepoints
        let seen =
            range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        return [
            "Check: KVM's own count rose by \(check.kernel) exits meanwhile, the tracepoints' by \(seen)"
                + (check.agrees ? "." : ": they differ.")
        ]
    }

    private var ending: String {
        switch outcome.ending {
        case .timeUp: "The watch ended because its time was up."
        case .processEnded: "The watch ended because the process has ended."
        case .signal(let number): "The watch ended because of signal \(number)."
        case .stopped: "The watch was stopped."
        }
    }
}

/// The rows of a table: each type twice where KVM settled some of its exits and passed others on.
struct WatchTable {
    /// Exits for one of the processor's reasons that ended alike.
    private struct Line {
        let cells: [String]
        let cost: UInt64
        let exits: UInt64
    }

    private let rows: [KernelSettledExits.Row]
    private let isSVM: Bool

    init(_ rows: [KernelSettledExits.Row], isSVM: Bool) {
        self.rows = KernelSettledExits.Row.byReason(rows)
        self.isSVM = isSVM
    }

    /// The exits in the order of what they cost, the sum, and the sleep.
    func lines(_ style: TextStyle) -> [String] {
        let total = rows.reduce(0) { $0 &+ $1.cost }
        var table = TextReport.makeAllExitsTable(style)
        let all = rows.flatMap { lines(of: $0, total) }
        for line in all.sorted(by: { ($0.cost, $0.exits) > ($1.cost, $1.exits) }) {
            table.add(line.cells, as: line.cost > total / 2 ? .hot : .body)
        }
        table.add(
            [
                "total", "", "", String(rows.reduce(0) { $0 &+ $1.hardwareExits }), total > 0 ? "100%" : "-",
                time(rows.reduce(0) { $0 &+ $1.nanoseconds &+ $1.passedOnNanoseconds }),
                time(rows.reduce(0) { $0 &+ $1.userNanoseconds }), "", "", "",
            ], as: .strong)
        let asleep = rows.reduce(0) { $0 &+ $1.haltedNanoseconds }
        if asleep > 0 { table.add(TextReport.asleepCells(asleep), as: .aside) }
        return table.lines
    }

    private func lines(of row: KernelSettledExits.Row, _ total: UInt64) -> [Line] {
        let passedOn = row.passedOnExits
        var lines: [Line] = []
        if row.exits > 0 {
            // KVM_RUN may be interrupted in an exit that KVM settles.
            let outside = passedOn == 0 ? row.userNanoseconds : 0
            lines.append(
                line(
                    row, "KVM", row.exits, row.nanoseconds, outside, total,
                    [time(row.quantile(0.5)), time(row.quantile(0.99)), time(row.maximum)]))
        }
        if passedOn > 0 {
            let times = ["", "", ""]
            lines.append(line(row, "VMM", passedOn, row.passedOnNanoseconds, row.userNanoseconds, total, times))
        }
        return lines
    }

    private func line(
        _ row: KernelSettledExits.Row, _ settler: String, _ exits: UInt64, _ inside: UInt64, _ outside: UInt64,
        _ total: UInt64, _ times: [String]
    ) -> Line {
        let cost = inside &+ outside
        let cells = [
            row.name(isSVM: isSVM), row.reason.map { String($0.rawValue) } ?? "-", settler, String(exits),
            HumanNumber.share(cost, of: total), time(inside), outside > 0 || settler == "VMM" ? time(outside) : "",
        ]
        return Line(cells: cells + times, cost: cost, exits: exits)
    }

    private func time(_ nanoseconds: UInt64) -> String { HumanNumber.seconds(Double(nanoseconds) / 1e9) }
}

extension KernelSettledExits.Row {
    /// What all of these exits took, sleep taken off, in nanoseconds.
    var cost: UInt64 { nanoseconds &+ passedOnNanoseconds &+ userNanoseconds }
}

/// How a watch goes, in a line: the time, the exits, and how many there are of the busiest types a second.
package struct WatchLine {
    private let interval: WatchInterval

    package init(_ interval: WatchInterval) {
        self.interval = interval
    }

    /// The line: at most 79 columns, without a newline.
    package var text: String {
        let rows = KernelSettledExits.Row.byReason(interval.exits.rows)
        let length = interval.length.inSeconds
        let rates = rows.map { row in
            (
                name: row.name(isSVM: interval.exits.isSVM),
                rate: length > 0 ? Double(row.hardwareExits) / length : 0
            )
        }
        return LiveLine.text(seconds: interval.elapsed.inSeconds, exits: interval.exitsSoFar, rates: rates)
    }
}
