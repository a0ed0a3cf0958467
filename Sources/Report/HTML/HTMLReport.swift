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
        let title = "MiniVMM: " + HTML.escaped(context.guest)
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <link rel="icon" href="data:,">
            <title>\(title)</title>
            <style>
            \(HTMLStyle.sheet)
            </style>
            </head>
            <body>
            <header>
            <h1>\(HTML.escaped(context.guest))</h1>
            <p>\(TextReport(outcome).summary.map(HTML.escaped).joined(separator: "<br>\n"))</p>
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

    private var sections: [String] {
        let total = outcome.statistics.total
        var sections = advice
        guard (all?.breakdown.exits ?? total.exits) > 0 else { return sections + [facts] }
        if let timeline = outcome.timeline {
            let chart =
                all.map { TimelineChart(timeline, palette: $0.palette, tscKHz: outcome.tscKHz) }
                ?? TimelineChart(timeline, palette: palette, tscKHz: outcome.tscKHz)
            sections.append(HTML.section("Exits over time", chart.html))
        }
        if let all {
            let chart = AllExitsShareChart(all.breakdown, palette: all.palette)
            sections.append(HTML.section("Share by type", chart.html))
        } else {
            sections.append(HTML.section("Share by kind", ShareChart(total, palette: palette).html))
        }
        if !outcome.distributions.isEmpty {
            let chart = DistributionChart(outcome.distributions, total, palette: palette, tscKHz: outcome.tscKHz)
            sections.append(
                HTML.section(all == nil ? "Service time by kind" : "MiniVMM's service time by kind", chart.html))
        }
        sections.append(HTML.section(all == nil ? "All kinds" : "Every exit", table(total)))
        if outcome.statistics.vcpus.count > 1 {
            let tables = outcome.statistics.vcpus.map { "<h3>vCPU \($0.vcpu ?? 0)</h3>\n" + table($0) }
            sections.append(HTML.section("Each vCPU", tables.joined()))
        }
        return sections + kernelCounts + [facts]
    }

    /// What the rules find, and what to do about it.
    private var advice: [String] {
        let items = AdviceRules(outcome).advice.map { advice in
            "<li><b>\(HTML.escaped(advice.sentence))</b>"
                + (remedies(advice).map { " " + HTML.escaped($0) } ?? "") + "</li>"
        }
        guard !items.isEmpty else { return [] }
        return [HTML.section("Advice", "<ul>\n" + items.joined(separator: "\n") + "\n</ul>\n")]
    }

    /// KVM's own counts, and what they mean.
    private var kernelCounts: [String] {
        let kernel = KernelCounts(outcome.kernelStatistics)
        guard !kernel.counts.isEmpty else { return [] }
        // Where every exit was counted, the check in the summary says it.
        let relation = all == nil ? kernel.relation(to: outcome.statistics.total).map { "<p>\($0)</p>\n" } ?? "" : ""
        let counts = kernel.counts.map { name, value in
            let meaning = KernelCountNames.meaning(of: name).map { "<small>\(HTML.escaped($0)).</small>" } ?? ""
            return "<div><span>\(HTML.escaped(name))</span><b>\(value)</b>\(meaning)</div>"
        }
        let list = "<div class=\"counts\">\n" + counts.joined(separator: "\n") + "\n</div>\n"
        return [HTML.section("KVM's own counts", relation + list)]
    }

    // MARK: Numbers at a glance

    private var tiles: String {
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
        let items = tiles.map { "<div><b>\($0.1)</b>\($0.0)</div>" }
        return "<div class=\"tiles\">" + items.joined() + "</div>\n"
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

    private func table(_ statistics: VCPUStatistics) -> String {
        let text = TextReport(outcome)
        if let palette = all?.palette, let breakdown = ExitBreakdown(outcome, statistics) {
            let rows = breakdown.rows.map { row in
                [palette.label(row.name, of: row.typeName, row.settler)]
                    + text.cells(row, of: breakdown.nanoseconds).dropFirst()
            }
            return HTML.table(
                TextReport.allExitsColumns, rows, footer: text.allExitsTotal(breakdown),
                asides: text.allExitsAsides(breakdown, statistics))
        }
        let kinds = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }
        let rows = kinds.map { kind in
            [palette.label(kind.kind)] + text.row(kind, statistics).dropFirst()
        }
        return HTML.table(TextReport.columns, rows, footer: text.totalRow(statistics))
    }

    private var facts: String {
        let machine = context.machine
        let frequency = outcome.tscKHz.map { HumanNumber.fixed(Double($0) / 1000, digits: 3) + " MHz" } ?? "unknown"
        let invariant = context.host.hasInvariantTSC ? "invariant" : "not invariant"
        // A line may end between words only, and not within an option.
        let words = context.commandWords.map { "<span>\(HTML.escaped($0))</span>" }
        var facts = [
            ("Command", "<code>\(words.joined(separator: " "))</code>"),
            ("Started", HTML.escaped(context.startedAt)),
            ("Ended", HTML.escaped(outcome.ending.summary)),
            ("Guest", HTML.escaped(context.guest)),
            (
                "Machine",
                "\(machine.vcpuCount) vCPU\(machine.vcpuCount == 1 ? "" : "s"), \(ByteCount(machine.memorySize)) of memory"
            ),
            ("CPUID", "counter leaves \(leaves.rawValue), trap \(outcome.trap.rawValue)"),
            ("Processor", HTML.escaped(context.host.processor ?? "unknown")),
            ("Time-stamp counter", "\(frequency), \(invariant)"),
            ("Kernel", HTML.escaped(context.host.kernelRelease)),
            ("KVM", HTML.escaped(context.host.modules.joined(separator: ", "))),
        ]
        facts += TextReport(outcome).notes.map { ("Note", HTML.escaped($0)) }
        let items = facts.map { "<dt>\($0.0)</dt><dd>\($0.1)</dd>" }
        return HTML.section("Run, machine and host", "<dl>\n" + items.joined(separator: "\n") + "\n</dl>\n")
    }
}

/// Pieces of HTML and SVG.
package enum HTML {
    /// Text as it stands between tags and in attributes.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            // What HTML does not allow, a control character of a command line for one, is shown as replaced.
            case "\u{0}"..."\u{8}", "\u{b}", "\u{e}"..."\u{1f}", "\u{7f}"..."\u{9f}": result += "\u{fffd}"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    /// A number in an attribute: at most three digits after the point.
    package static func number(_ value: Double) -> String {
        let text = HumanNumber.fixed(value, digits: 3)
        guard text.contains(".") else { return text }
        var trimmed = Substring(text)
        while trimmed.last == "0" { trimmed.removeLast() }
        if trimmed.last == "." { trimmed.removeLast() }
        return String(trimmed)
    }

    /// A section with a heading.
    package static func section(_ heading: String, _ body: String) -> String {
        "<section>\n<h2>\(escaped(heading))</h2>\n\(body)</section>\n"
    }

    /// A table. All columns but the first hold numbers, and are aligned to the right.
    ///
    /// - Parameters:
    ///   - footer: The last row, the sum.
    ///   - asides: Rows under it that are in no sum.
    package static func table(
        _ head: [String], _ rows: [[String]], footer: [String]? = nil, asides: [[String]] = []
    ) -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            "<tr>" + cells.map { "<\(tag)>\($0)</\(tag)>" }.joined() + "</tr>\n"
        }
        let foot = footer.map { "<tfoot>" + ([$0] + asides).map { row($0, "td") }.joined() + "</tfoot>\n" } ?? ""
        return "<div class=\"scroll\"><table>\n<thead>" + row(head, "th") + "</thead>\n<tbody>\n"
            + rows.map { row($0, "td") }.joined() + "</tbody>\n" + foot + "</table></div>\n"
    }
}
