public import Counters
import Host
import KVM

/// A run's statistics as a table for a terminal of 80 columns, and what they say in words.
public struct TextReport: Sendable {
    package let outcome: RunOutcome
    package let style: TextStyle
    private let perVCPU: Bool
    /// How many places that exits come from are shown.
    package let top: Int
    /// What to do where not every exit was counted that was wanted.
    package let advice: String?
    /// What to do about what the rules find.
    package let remedies: AdviceRemedies

    /// A report of a run.
    ///
    /// - Parameters:
    ///   - outcome: The run.
    ///   - perVCPU: Whether each vCPU gets a table of its own besides the one of the totals.
    ///   - top: How many of the places are shown that exits come from, where the run kept them.
    ///   - advice: What to do where not every exit was counted that was wanted: a sentence.
    ///   - remedies: What to do about what the rules find.
    ///   - style: How the text is emphasized.
    public init(
        _ outcome: RunOutcome, perVCPU: Bool = false, top: Int = 0, advice: String? = nil,
        remedies: AdviceRemedies = .none, style: TextStyle = .plain
    ) {
        self.outcome = outcome
        self.advice = advice
        self.remedies = remedies
        self.top = top
        self.perVCPU = perVCPU
        self.style = style
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        let total = outcome.statistics.total
        var lines = lead + mainTable(total) + kernelBlock(total)
        if perVCPU {
            for vcpu in outcome.statistics.vcpus {
                lines += ["", style.text("vCPU \(vcpu.vcpu ?? 0):", as: .heading)]
                lines += mainTable(vcpu) + kernelBlock(vcpu)
            }
        }
        lines += devicesBlock + placesBlock
        lines.append("")
        lines += notes + summary + adviceLines
        return lines.map { $0 + "\n" }.joined()
    }

    /// What an exit cost as a whole, and which part of it the table is about.
    private var lead: [String] {
        let total = outcome.statistics.total
        if let breakdown = ExitBreakdown(outcome, total) { return lead(breakdown) }
        let all = total.serviceCycles &+ total.runCycles
        guard total.exits > 0, total.runCycles > 0 else { return [] }
        func each(_ cycles: UInt64) -> String { HumanNumber.count(Double(cycles) / Double(total.exits)) }
        let time = outcome.tscKHz.map { khz in
            " (\(HumanNumber.seconds(Double(all) / Double(total.exits) / (Double(khz) * 1000))))"
        }
        let cost =
            "An exit took \(each(all)) cycles\(time ?? ""): \(each(total.runCycles)) in KVM_RUN, guest included, "
            + "\(each(total.serviceCycles)) in MiniVMM."
        return [style.text(cost, as: .strong), "", style.text("Service time in MiniVMM:", as: .heading)]
    }

    /// The same where every exit was counted: the guest's own time is in no row.
    private func lead(_ breakdown: ExitBreakdown) -> [String] {
        guard breakdown.exits > 0 else { return [] }
        func each(_ nanoseconds: Double) -> String {
            HumanNumber.seconds(nanoseconds / Double(breakdown.exits) / 1e9)
        }
        let cost =
            "An exit took \(each(breakdown.nanoseconds)): \(each(breakdown.nanoseconds(by: .kvm))) in KVM, "
            + "\(each(breakdown.nanoseconds(by: .miniVMM))) in MiniVMM."
        return [style.text(cost, as: .strong), ""]
    }

    /// The table of every exit where all were counted, else of those that reached MiniVMM.
    private func mainTable(_ statistics: VCPUStatistics) -> [String] {
        ExitBreakdown(outcome, statistics).map { allExitsTable($0, statistics) } ?? table(statistics)
    }

    /// Cycles as time, where the frequency is known.
    package func time(_ cycles: UInt64) -> String {
        guard let tscKHz = outcome.tscKHz else { return "-" }
        return HumanNumber.seconds(Double(cycles) / (Double(tscKHz) * 1000))
    }
}

/// KVM's own counts.
extension TextReport {
    /// How many counts stand side by side.
    private static let kernelColumns = 2

    /// What KVM counted of all vCPUs, or of one, and how that relates to MiniVMM's count. No line where KVM does not
    /// tell.
    func kernelBlock(_ statistics: VCPUStatistics) -> [String] {
        let chosen = outcome.kernelStatistics.enumerated()
            .filter { statistics.vcpu == nil || statistics.vcpu == $0.offset }.map(\.element)
        let kernel = KernelCounts(chosen)
        guard !kernel.counts.isEmpty else { return [] }
        var table = TextTable([.left, .right, .left, .right])
        for start in stride(from: 0, to: kernel.counts.count, by: Self.kernelColumns) {
            let pair = kernel.counts[start..<min(start + Self.kernelColumns, kernel.counts.count)]
            var cells = pair.flatMap { ["  " + $0.name, String($0.value)] }
            cells += repeatElement("", count: 2 * Self.kernelColumns - cells.count)
            table.add(cells)
        }
        // Where every exit was counted, the check says it.
        let relation = outcome.kernelSettled == nil ? kernel.relation(to: statistics).map { [$0] } ?? [] : []
        return ["", style.text("KVM's own counts:", as: .heading)] + table.lines + relation
    }
}

/// The table.
extension TextReport {
    /// The heads of the columns. `share` is the share of the cycles.
    package static let columns = ["exit", "SDM", "count", "share", "cycles", "mean", "p50", "p99", "max", "time"]

    /// The kinds in the order of what they cost, the sum, and what MiniVMM did for itself. Times are in cycles, but for
    /// the last column's.
    package func table(_ statistics: VCPUStatistics) -> [String] {
        var table = TextTable([.left] + Array(repeating: .right, count: 9), style: style)
        table.add(Self.columns, as: .heading)
        let kinds = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }
        for kind in kinds {
            let isHot = kind.serviceCycles > statistics.serviceCycles / 2
            table.add(row(kind, statistics), as: isHot ? .hot : .body)
        }
        table.add(totalRow(statistics), as: .strong)
        for row in ownSteps(statistics) { table.add(row, as: .aside) }
        return table.lines
    }

    /// A kind's cells.
    package func row(_ kind: KindStatistics, _ statistics: VCPUStatistics) -> [String] {
        [
            kind.kind.name,
            kind.kind.basicExitReason.map { String($0.rawValue) } ?? "-",
            count(kind.exits),
            HumanNumber.share(kind.serviceCycles, of: statistics.serviceCycles),
            HumanNumber.count(kind.serviceCycles),
            HumanNumber.count(kind.mean),
            HumanNumber.count(kind.p50),
            HumanNumber.count(kind.p99),
            HumanNumber.count(kind.max),
            time(kind.serviceCycles),
        ]
    }

    /// The sum's cells.
    func totalRow(_ statistics: VCPUStatistics) -> [String] {
        let mean = statistics.exits == 0 ? 0 : Double(statistics.serviceCycles) / Double(statistics.exits)
        return [
            "total", "", count(statistics.exits), statistics.exits == 0 ? "-" : "100%",
            HumanNumber.count(statistics.serviceCycles), HumanNumber.count(mean), "", "", "",
            time(statistics.serviceCycles),
        ]
    }

    /// The cells of what MiniVMM did for itself, which is in no other row; none where it did nothing.
    func ownSteps(_ statistics: VCPUStatistics) -> [[String]] {
        guard statistics.internalExits > 0 else { return [] }
        let mean = Double(statistics.internalCycles) / Double(statistics.internalExits)
        return [
            [
                "(own steps)", "", count(statistics.internalExits), "", HumanNumber.count(statistics.internalCycles),
                HumanNumber.count(mean), "", "", "", time(statistics.internalCycles),
            ]
        ]
    }

    /// The maximum number of exits that the table shows exactly, so that its widest row has 80 columns.
    static let maximumExactCount: UInt64 = 99_999_999

    /// A number of exits: exact as far as there is room.
    func count(_ exits: UInt64) -> String {
        exits <= Self.maximumExactCount ? String(exits) : HumanNumber.count(exits)
    }
}

/// The words below the table.
extension TextReport {
    /// The lines besides the table of exits.
    package var notes: [String] {
        var notes: [String] = []
        if !outcome.unclaimedPorts.isEmpty {
            notes.append("Ports that nobody claims: " + list(outcome.unclaimedPorts, digits: 1))
        }
        if !outcome.unclaimedPages.isEmpty {
            notes.append("Addresses that nobody claims: " + list(outcome.unclaimedPages, digits: 5))
        }
        return notes + counterLeafLines
    }

    /// The most entries that a line of notes names.
    private static let maximumListLength = 6

    private func list(_ addresses: [UnclaimedAddress], digits: Int) -> String {
        let named = addresses.prefix(Self.maximumListLength).map { address in
            let counts = [(address.reads, "r"), (address.writes, "w")].filter { $0.0 > 0 }
                .map { HumanNumber.count($0.0) + $0.1 }
            return "0x\(Hex.digits(address.address, digits)) (\(counts.joined(separator: " ")))"
        }
        let rest = addresses.count - named.count
        return named.joined(separator: ", ") + (rest > 0 ? ", and \(rest) more" : "")
    }

    /// The run in words: how many exits in how long, what they mostly were, and where the time went.
    package var summary: [String] {
        let total = outcome.statistics.total
        let breakdown = ExitBreakdown(outcome, total)
        let count = breakdown?.exits ?? total.exits
        let exits = "\(count) \(count == 1 ? "exit" : "exits")"
        var lines = ["\(exits) in \(HumanNumber.spaced(seconds: outcome.seconds)); \(outcome.ending.summary)."]
        if let breakdown {
            lines += ExitBreakdown.TypeSum.extremes(breakdown.types, unit: "time") + settled(breakdown)
        } else {
            let kinds = total.kinds.map {
                ($0.kind.name, $0.kind.basicExitReason, $0.exits, Double($0.serviceCycles))
            }
            lines += ExitBreakdown.TypeSum.extremes(ExitBreakdown.TypeSum.sums(of: kinds), unit: "cycles")
        }
        let all = total.serviceCycles &+ total.internalCycles &+ total.runCycles
        if all > 0 {
            let own = total.serviceCycles &+ total.internalCycles
            lines.append(
                "Time: \(HumanNumber.share(own, of: all)) in MiniVMM, "
                    + "\(HumanNumber.share(total.runCycles, of: all)) in KVM_RUN. CPUID trap: \(outcome.trap.rawValue)."
            )
        }
        return lines + check + narrowScope
    }
}

/// What KVM itself counted of some vCPUs: the counts that are not zero, by KVM's names for them.
///
/// Histograms are left out: they are no counts.
struct KernelCounts {
    /// The counts, in KVM's order. Those of several vCPUs are added; of peaks it is the maximum.
    package let counts: [(name: String, value: UInt64)]

    init(_ statistics: [KernelStatistics]) {
        var names: [String] = []
        var values: [String: UInt64] = [:]
        for statistic in statistics.flatMap(\.statistics) {
            guard let value = statistic.value, value > 0 else { continue }
            guard let sum = values[statistic.name] else {
                names.append(statistic.name)
                values[statistic.name] = value
                continue
            }
            values[statistic.name] = statistic.kind == .peak ? max(sum, value) : sum &+ value
        }
        counts = names.map { ($0, values[$0] ?? 0) }
    }

    /// The count with a name; 0 when there is none.
    package subscript(name: String) -> UInt64 { counts.first { $0.name == name }?.value ?? 0 }

    /// How KVM's count of exits relates to MiniVMM's: a sentence, or none where KVM does not count them.
    ///
    /// MiniVMM's own exits, single steps for one, are exits to KVM like all others.
    func relation(to statistics: VCPUStatistics) -> String? {
        let kernel = self["exits"]
        guard kernel > 0 else { return nil }
        let ours = statistics.exits &+ statistics.internalExits
        guard kernel >= ours else {
            return "KVM counts \(kernel) exits and MiniVMM \(ours): some left KVM_RUN without entering the guest."
        }
        let settled = kernel - ours
        return "Of KVM's \(kernel) exits \(ours) came out to MiniVMM; "
            + "KVM settled \(settled) itself (\(HumanNumber.share(settled, of: kernel)))."
    }
}
