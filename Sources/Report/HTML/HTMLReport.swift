public import Counters
import Host

/// A run as one HTML file that needs nothing else: no network, and for reading and printing not its script either.
public struct HTMLReport: Sendable {
    private let outcome: RunOutcome
    private let leaves: CounterLeaves
    private let context: RunContext
    private let remedies: AdviceRemedies
    private let palette: PagePalette
    /// Every exit, where all were counted.
    private let breakdown: ExitBreakdown?
    /// The exits over time.
    private let series: [PageSeries]
    private let chart: TimelineChart?
    private let intervalCount: Int
    private let places: PlacesSection?

    /// A report of a run. What the machine did not keep, the exits over time for one, is left out.
    ///
    /// - Parameters:
    ///   - outcome: The run.
    ///   - leaves: The layout of the counter leaves that the run had.
    ///   - context: Who asked for what, when and where.
    ///   - remedies: What to do about what the rules find.
    ///   - program: The name of the program that a place is in; nil for the guest's.
    public init(
        _ outcome: RunOutcome, leaves: CounterLeaves, context: RunContext, remedies: AdviceRemedies = .none,
        program: ((ExitPlaces.Place) -> String)? = nil
    ) {
        self.remedies = remedies
        self.outcome = outcome
        self.leaves = leaves
        self.context = context
        let total = outcome.statistics.total
        breakdown = ExitBreakdown(outcome, total)
        let palette = PagePalette(total, breakdown)
        self.palette = palette
        let timeline = outcome.timeline.map(PageData.timeline)
        intervalCount = timeline?.intervalCount ?? 0
        let series = timeline.map(palette.series) ?? []
        self.series = series
        chart = timeline.map { TimelineChart($0, series, palette: palette, tscKHz: outcome.tscKHz) }
        places = outcome.places.map { kept in
            PlacesSection(
                kept, palette: palette, vcpuCount: outcome.statistics.vcpus.count,
                program: program ?? { _ in context.guest })
        }
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
        <footer><p>Made by MiniVMM \(ReportMaker.version). Cycles are those of the host's time-stamp counter. Service time is what MiniVMM \
        takes between two KVM_RUNs.</p></footer>
        <script type="application/json" id="data">\(data)</script>
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
        guard (breakdown?.exits ?? total.exits) > 0 else { return sections + [facts] }
        if let chart { sections.append(.section("Exits over time", chart.markup)) }
        if let breakdown, let types = palette.types {
            let chart = AllExitsShareChart(breakdown, palette: types, groups: palette.groups)
            sections.append(.section("Share by type", whole: "share-time", chart.markup))
        } else {
            let chart = ShareChart(total, palette: palette.kinds, groups: palette.groups)
            sections.append(.section("Share by kind", whole: "share-time", chart.markup))
        }
        if !outcome.distributions.isEmpty {
            let chart = DistributionChart(outcome.distributions, total, palette: palette, tscKHz: outcome.tscKHz)
            let heading = breakdown == nil ? "Service time by kind" : "MiniVMM's service time by kind"
            sections.append(.section(heading, whole: "vcpu time", chart.markup))
        }
        sections.append(.section(breakdown == nil ? "All kinds" : "Every exit", whole: "table-time", table(total)))
        if outcome.statistics.vcpus.count > 1 {
            let tables = outcome.statistics.vcpus.map { vcpu -> Markup in
                """
                <div\(Markup.attribute("data-only", vcpu.vcpu))><h3>vCPU \(vcpu.vcpu ?? 0)</h3>
                \(table(vcpu))</div>

                """
            }
            sections.append(.section("Each vCPU", whole: "table-time", tables.joined()))
        }
        if let places { sections.append(.section("Where exits come from", whole: "time", places.markup)) }
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
        let sentence = breakdown == nil ? kernel.relation(to: outcome.statistics.total) : nil
        let relation: Markup = sentence.map { "<p>\($0)</p>\n" } ?? ""
        let counts = kernel.counts.map { name, value -> Markup in
            let meaning: Markup = KernelCountNames.meaning(of: name).map { "<small>\($0).</small>" } ?? ""
            return "<div><span>\(name)</span><b>\(value)</b>\(meaning)</div>"
        }
        let list: Markup = "<div class=\"counts\">\n\(counts.joined(separator: "\n"))\n</div>\n"
        return [.section("KVM's own counts", whole: "kind vcpu time", relation + list)]
    }

    // MARK: Numbers at a glance

    private var tiles: Markup {
        let total = outcome.statistics.total
        let seconds = outcome.seconds
        let own = total.serviceCycles &+ total.internalCycles
        let cycles = own &+ total.runCycles
        let exits = breakdown?.exits ?? total.exits
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
        guard let breakdown else { return [] }
        return [
            ("settled by KVM", HumanNumber.share(breakdown.exits(by: .kvm), of: breakdown.exits)),
            ("in KVM's handlers", HumanNumber.spaced(seconds: breakdown.nanoseconds(by: .kvm) / 1e9)),
            ("asleep", HumanNumber.spaced(seconds: Double(breakdown.haltedNanoseconds) / 1e9)),
        ]
    }

    // MARK: Tables

    private func table(_ statistics: VCPUStatistics) -> Markup {
        let text = TextReport(outcome)
        if let types = palette.types, let breakdown = ExitBreakdown(outcome, statistics) {
            let rows = breakdown.rows.map { row in
                Markup.Row(
                    [types.label(row.name, of: row.typeName, row.settler)]
                        + text.cells(row, of: breakdown.nanoseconds).dropFirst().map { Markup($0) },
                    group: palette.groups.number(of: ExitGroups.name(of: row)), series: number(of: row, breakdown))
            }
            return .table(
                TextReport.allExitsColumns, rows, footer: text.allExitsTotal(breakdown),
                asides: text.allExitsAsides(breakdown, statistics), vcpu: statistics.vcpu)
        }
        let kinds = statistics.kinds.sorted { $0.serviceCycles > $1.serviceCycles }
        let rows = kinds.map { kind in
            Markup.Row(
                [palette.kinds.label(kind.kind)] + text.row(kind, statistics).dropFirst().map { Markup($0) },
                group: palette.groups.number(of: kind.kind),
                series: series.firstIndex { !$0.isKernels && $0.name == kind.kind.name })
        }
        return .table(
            TextReport.columns, rows, footer: text.totalRow(statistics), asides: text.ownSteps(statistics),
            vcpu: statistics.vcpu)
    }

    /// The number of the series that has a row's exits over time, and no other's.
    private func number(of row: ExitBreakdown.Row, _ breakdown: ExitBreakdown) -> Int? {
        guard row.settler == .kvm else { return series.firstIndex { !$0.isKernels && $0.name == row.name } }
        let isAlone = row.type != nil || breakdown.rows.count { $0.settler == .kvm && $0.type == nil } == 1
        return isAlone ? series.firstIndex { $0.isKernels && $0.name == ExitGroups.name(of: row) } : nil
    }

    /// What the script chooses from.
    private var data: Markup {
        let data = PageData(
            outcome, palette: palette, series: series, chart: chart, intervalCount: intervalCount, places: places)
        // Numbers and names can always be encoded; without them the script leaves the page as it is.
        return (try? Markup(json: data)) ?? "null"
    }

    /// What makes exits cheaper or dearer on the host.
    private var conditions: [(String, Markup)] {
        guard let host = context.conditions else { return [] }
        func list(_ settings: [HostConditions.Setting]) -> Markup? {
            guard !settings.isEmpty else { return nil }
            let items = settings.map { "<span>\($0.name)</span>: \($0.value)" as Markup }
            return items.joined(separator: "<br>")
        }
        let boost = host.boost.map { $0 ? "allowed" : "not allowed" }
        let facts: [(String, Markup?)] = [
            ("Guest of", host.hypervisor.map { Markup($0) }), ("Microcode", host.microcode.map { Markup($0) }),
            ("Kernel's arguments", host.commandLine.map { "<code>\($0)</code>" }),
            ("Pinned to", host.pinnedCPUs.map { "CPUs \($0)" }),
            ("Governor", host.governors.isEmpty ? nil : Markup(host.governors.joined(separator: ", "))),
            ("Boost", boost.map { Markup($0) }),
            ("Threads of a core", host.simultaneousMultithreading.map { $0 ? "several" : "one" }),
            ("Huge pages", host.transparentHugePages.map { Markup($0) }),
            ("KVM's parameters", list(host.parameters)), ("Mitigations", list(host.mitigations)),
        ]
        return facts.compactMap { name, value in value.map { (name, $0) } }
    }

    /// How the vCPUs' threads came to run.
    private var scheduling: [(String, Markup)] {
        guard let scheduling = outcome.scheduling else { return [] }
        func time(_ nanoseconds: UInt64) -> String { HumanNumber.spaced(seconds: Double(nanoseconds) / 1e9) }
        let threads = scheduling.vcpus.enumerated().compactMap { index, thread -> (String, Markup)? in
            thread.map { thread in
                (
                    "vCPU \(index) ran",
                    "\(time(thread.runNanoseconds)), and waited \(time(thread.delayNanoseconds)) for a processor"
                )
            }
        }
        return threads + (scheduling.stolenNanoseconds.map { [("Stolen", "\(time($0))")] } ?? [])
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
        facts += conditions + scheduling + TextReport(outcome).notes.map { ("Note", Markup($0)) }
        let items = facts.map { "<dt>\($0.0)</dt><dd>\($0.1)</dd>" as Markup }
        return .section("Run, machine and host", "<dl>\n\(items.joined(separator: "\n"))\n</dl>\n")
    }
}
