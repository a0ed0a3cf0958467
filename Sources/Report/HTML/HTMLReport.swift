public import Counters
import Host

/// A run as one HTML file that needs nothing else: no network, and for reading and printing not its script either.
public struct HTMLReport: Sendable {
    private let outcome: RunOutcome
    private let leaves: CounterLeaves
    private let context: RunContext
    private let remedies: AdviceRemedies
    private let palette: KindPalette
    /// Every exit, and the colors of the types, where all were counted.
    private let all: (breakdown: ExitBreakdown, palette: TypePalette)?

    /// A report of a run. What the machine did not keep, the exits over time for one, is left out.
    public init(
        _ outcome: RunOutcome, leaves: CounterLeaves, context: RunContext, remedies: AdviceRemedies = .none
    ) {
        self.remedies = remedies
        self.outcome = outcome
        self.leaves = leaves
        self.context = context
        let total = outcome.statistics.total
        all = ExitBreakdown(outcome, total).map { ($0, TypePalette($0)) }
        palette = all.map { KindPalette(total, types: $0.palette) } ?? KindPalette(total)
    }

    /// The whole file.
    public var text: String {
        page.text
    }

    private var page: Markup {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <link rel="icon" href="data:,">
        <title>MiniVMM: \(context.guest)</title>
        <style>
        \(HTMLStyle.sheet)
        </style>
        </head>
        <body>
        <header>
        <h1>\(context.guest)</h1>
        <p>\(TextReport(outcome).summary.map { Markup($0) }.joined(separator: "<br>\n"))</p>
        </header>
        <main>
        \(tiles)\(sections.joined())</main>
        <footer><p>Made by MiniVMM. Cycles are those of the host's time-stamp counter. Service time is what MiniVMM \
        takes between two KVM_RUNs.</p></footer>
        <script>
        \(HTMLScript.text)
        </script>
        </body>
        </html>

        """
    }

    private var sections: [Markup] {
        let total = outcome.statistics.total
        var sections = advice
        guard (all?.breakdown.exits ?? total.exits) > 0 else { return sections + [facts] }
        if let timeline = outcome.timeline {
            let chart =
                all.map { TimelineChart(timeline, palette: $0.palette, tscKHz: outcome.tscKHz) }
                ?? TimelineChart(timeline, palette: palette, tscKHz: outcome.tscKHz)
            sections.append(.section("Exits over time", chart.markup))
        }
        if let all {
            let chart = AllExitsShareChart(all.breakdown, palette: all.palette)
            sections.append(.section("Share by type", chart.markup))
        } else {
            sections.append(.section("Share by kind", ShareChart(total, palette: palette).markup))
        }
        if !outcome.distributions.isEmpty {
            let chart = DistributionChart(outcome.distributions, total, palette: palette, tscKHz: outcome.tscKHz)
            sections.append(
                .section(all == nil ? "Service time by kind" : "MiniVMM's service time by kind", chart.markup))
        }
        sections.append(.section(all == nil ? "All kinds" : "Every exit", table(total)))
        if outcome.statistics.vcpus.count > 1 {
            let tables = outcome.statistics.vcpus.map { "<h3>vCPU \($0.vcpu ?? 0)</h3>\n\(table($0))" as Markup }
            sections.append(.section("Each vCPU", tables.joined()))
        }
        return sections + kernelCounts + [facts]
    }

    /// What the rules find, and what to do about it.
    private var advice: [Markup] {
        let items = AdviceRules(outcome).advice.map { advice -> Markup in
            let remedy: Markup = remedies(advice).map { " \($0)" } ?? ""
            return "<li><b>\(advice.sentence)</b>\(remedy)</li>"
        }
        guard !items.isEmpty else { return [] }
        return [.section("Advice", "<ul>\n\(items.joined(separator: "\n"))\n</ul>\n")]
    }

    /// KVM's own counts, and what they mean.
    private var kernelCounts: [Markup] {
        let kernel = KernelCounts(outcome.kernelStatistics)
        guard !kernel.counts.isEmpty else { return [] }
        // Where every exit was counted, the check in the summary says it.
        let sentence = all == nil ? kernel.relation(to: outcome.statistics.total) : nil
        let relation: Markup = sentence.map { "<p>\($0)</p>\n" } ?? ""
        let counts = kernel.counts.map { name, value -> Markup in
            let meaning: Markup = KernelCountNames.meaning(of: name).map { "<small>\($0).</small>" } ?? ""
            return "<div><span>\(name)</span><b>\(value)</b>\(meaning)</div>"
        }
        let list: Markup = "<div class=\"counts\">\n\(counts.joined(separator: "\n"))\n</div>\n"
        return [.section("KVM's own counts", relation + list)]
    }

    // MARK: Numbers at a glance

    private var tiles: Markup {
        let total = outcome.statistics.total
        let seconds = outcome.seconds
        let own = total.serviceCycles &+ total.internalCycles
        let cycles = own &+ total.runCycles
        let exits = all?.breakdown.exits ?? total.exits
        let tiles =
            [
                ("exits", HumanNumber.count(exits)),
                ("exits per second", seconds > 0 ? HumanNumber.count(Double(exits) / seconds) : "-"),
            ] + kernelTiles + [
                ("run time", HumanNumber.spaced(seconds: seconds)),
                ("in MiniVMM", HumanNumber.share(own, of: cycles)),
                ("in KVM_RUN", HumanNumber.share(total.runCycles, of: cycles)),
            ]
        let items = tiles.map { "<div><b>\($0.1)</b>\($0.0)</div>" as Markup }
        return "<div class=\"tiles\">\(items.joined())</div>\n"
    }

    /// What KVM did, where every exit was counted.
    private var kernelTiles: [(String, String)] {
        guard let breakdown = all?.breakdown else { return [] }
        return [
            ("settled by KVM", HumanNumber.share(breakdown.exits(by: .kvm), of: breakdown.exits)),
            ("in KVM's handlers", HumanNumber.spaced(seconds: breakdown.nanoseconds(by: .kvm) / 1e9)),
            ("asleep", HumanNumber.spaced(seconds: Double(breakdown.haltedNanoseconds) / 1e9)),
        ]
    }

    // MARK: Tables

    private func table(_ statistics: VCPUStatistics) -> Markup {
        let text = TextReport(outcome)
        if let palette = all?.palette, let breakdown = ExitBreakdown(outcome, statistics) {
            let rows = breakdown.rows.map { row in
                [palette.label(row.name, of: row.typeName, row.settler)]
                    + text.cells(row, of: breakdown.nanoseconds).dropFirst().map { Markup($0) }
            }
            return .table(
                TextReport.allExitsColumns, rows, footer: text.allExitsTotal(breakdown),
                asides: text.allExitsAsides(breakdown, statistics))
        }
        let kinds = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }
        let rows = kinds.map { kind in
            [palette.label(kind.kind)] + text.row(kind, statistics).dropFirst().map { Markup($0) }
        }
        return .table(TextReport.columns, rows, footer: text.totalRow(statistics))
    }

    private var facts: Markup {
        let machine = context.machine
        let frequency = outcome.tscKHz.map { HumanNumber.fixed(Double($0) / 1000, digits: 3) + " MHz" } ?? "unknown"
        let invariant = context.host.hasInvariantTSC ? "invariant" : "not invariant"
        // A line may end between words only, and not within an option.
        let words = context.commandWords.map { word -> Markup in "<span>\(word)</span>" }.joined(separator: " ")
        let count = "\(machine.vcpuCount) vCPU\(machine.vcpuCount == 1 ? "" : "s")"
        var facts: [(String, Markup)] = [
            ("Command", "<code>\(words)</code>"), ("Started", Markup(context.startedAt)),
            ("Ended", Markup(outcome.ending.summary)), ("Guest", Markup(context.guest)),
            ("Machine", "\(count), \(ByteCount(machine.memorySize).description) of memory"),
            ("CPUID", "counter leaves \(leaves.rawValue), trap \(outcome.trap.rawValue)"),
            ("Processor", Markup(context.host.processor ?? "unknown")),
            ("Time-stamp counter", "\(frequency), \(invariant)"),
            ("Kernel", Markup(context.host.kernelRelease)),
            ("KVM", Markup(context.host.modules.joined(separator: ", "))),
        ]
        facts += TextReport(outcome).notes.map { ("Note", Markup($0)) }
        let items = facts.map { "<dt>\($0.0)</dt><dd>\($0.1)</dd>" as Markup }
        return .section("Run, machine and host", "<dl>\n\(items.joined(separator: "\n"))\n</dl>\n")
    }
}
