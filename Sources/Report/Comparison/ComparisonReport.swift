import Counters
import Host

/// Two sides of a comparison, kind by kind, as tables for a terminal of 80 columns, or as Markdown.
public struct ComparisonReport: Sendable {
    private let comparison: Comparison
    private let style: TextStyle
    private let form: Form

    /// How tables look.
    private enum Form {
        case text
        case markdown
    }

    /// A report of a comparison.
    ///
    /// - Parameters:
    ///   - comparison: The two sides.
    ///   - style: How the text is emphasized.
    public init(_ comparison: Comparison, style: TextStyle = .plain) {
        self.init(comparison, style: style, form: .text)
    }

    private init(_ comparison: Comparison, style: TextStyle, form: Form) {
        self.comparison = comparison
        self.style = style
        self.form = form
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        let places =
            placeTable("about", comparison.details) + placeTable("function", comparison.functions)
        return (differences + headings + [""] + table + places + remarks).map { $0 + "\n" }.joined()
    }

    /// The same as GitHub's Markdown, with what became of the rules.
    public static func markdown(_ comparison: Comparison) -> String {
        let report = ComparisonReport(comparison, style: .plain, form: .markdown)
        let verdicts = comparison.verdicts.map { "- \($0.isBroken ? "**broken**" : "kept"): `\($0.sentence)`" }
        return report.text + (verdicts.isEmpty ? "" : "\n" + verdicts.map { $0 + "\n" }.joined())
    }

    /// Whether there is one run on each side, so that no number has a spread.
    private var isSingle: Bool { comparison.first.runs.count == 1 && comparison.second.runs.count == 1 }

    // MARK: Above the table

    /// What makes the sides hard to compare.
    private var differences: [String] {
        let differences = comparison.differences
        guard !differences.isEmpty else { return [] }
        var table = TextTable([.left, .left, .left], style: style)
        for difference in differences {
            func values(_ side: String, _ values: [String]) -> String {
                "\(side): " + values.prefix(3).joined(separator: ", ") + (values.count > 3 ? ", …" : "")
            }
            table.add(["  " + difference.name, values("A", difference.first), values("B", difference.second)])
        }
        let lines =
            form == .text
            ? table.lines
            : differences.map { difference in
                "- \(difference.name): A \(difference.first.joined(separator: ", ")), "
                    + "B \(difference.second.joined(separator: ", "))"
            }
        return [style.text("Not made alike, so that numbers may differ for that reason alone:", as: .heading)] + lines
            + [""]
    }

    private var headings: [String] {
        let sides = [
            ("A", comparison.names.first, comparison.first), ("B", comparison.names.second, comparison.second),
        ]
        let lines = sides.map { letter, names, group in
            let guest = group.guest.map { ", guest \($0)" } ?? ""
            let duration = group.spread(\.duration)
            let time = HumanNumber.spaced(seconds: duration.median / 1e9)
            let name = names.count == 1 ? ForeignText.visible(names[0]) : "\(names.count) files"
            guard group.runs.count > 1 else { return "\(letter): \(name)\(guest), \(time)" }
            let range = [duration.least, duration.most].map { HumanNumber.spaced(seconds: $0 / 1e9) }
            return "\(letter): \(name)\(guest), \(group.runs.count) runs, \(time) (\(range[0]) to \(range[1]))"
        }
        return form == .text ? lines : lines.map { "- " + $0 }
    }

    // MARK: Tables

    private var table: [String] {
        let isSingle = isSingle
        // The names of KVM's exits take the room of the means.
        let heads =
            ["exit", "exits A", "B", "change", "cycles A", "B", "change"]
            + (!isSingle ? ["spread"] : comparison.isEvery ? [] : ["mean A", "B", "change"])
        var table = TextTable([.left] + Array(repeating: .right, count: heads.count - 1), style: style)
        func add(_ cells: [String], as role: TextStyle.Role = .body) {
            table.add(Array((cells + Array(repeating: "", count: heads.count)).prefix(heads.count)), as: role)
        }
        add(heads, as: .heading)
        func cells(_ row: Comparison.Row) -> [String] {
            Self.cells(row) + (isSingle ? Self.meanCells(row) : [Self.percent(row.cycles.relativeSpread)])
        }
        for row in comparison.rows { add(cells(row)) }
        add(cells(comparison.total), as: .strong)
        if let kernel = comparison.pair(ofAll: \.kernelExits) {
            add(["(KVM's count)"] + Self.countCells(kernel), as: .aside)
        }
        let run = comparison.pair(\.runCycles)
        add(
            ["(KVM_RUN)", "", "", ""] + Self.cycleCells(run) + (isSingle ? [] : [Self.percent(run.relativeSpread)]),
            as: .aside)
        return lines(table)
    }

    private func lines(_ table: TextTable) -> [String] { form == .text ? table.lines : table.markdown }

    private static func cells(_ row: Comparison.Row) -> [String] {
        [row.name] + countCells(row.exits) + cycleCells(row.cycles)
    }

    private static func countCells(_ pair: Comparison.Pair) -> [String] {
        [count(pair.first.median), count(pair.second.median), change(pair.first.median, pair.second.median)]
    }

    private static func cycleCells(_ pair: Comparison.Pair) -> [String] {
        [
            HumanNumber.count(pair.first.median), HumanNumber.count(pair.second.median),
            change(pair.first.median, pair.second.median),
        ]
    }

    private static func meanCells(_ row: Comparison.Row) -> [String] {
        func cell(_ exits: Spread, _ mean: Spread) -> String {
            exits.median == 0 ? "-" : HumanNumber.count(mean.median)
        }
        return [
            cell(row.exits.first, row.mean.first), cell(row.exits.second, row.mean.second),
            change(row.mean.first.median, row.mean.second.median),
        ]
    }

    /// How many places are shown of each sort.
    private static let placeCount = 10

    private func placeTable(_ heading: String, _ rows: [Comparison.PlaceRow]?) -> [String] {
        guard let rows else { return [] }
        let changed = rows.filter { $0.exits.first.median != $0.exits.second.median }
        var table = TextTable([.right, .right, .right, .left, .left], style: style)
        table.add(["exits A", "B", "change", "exit", heading], as: .heading)
        for row in changed.prefix(Self.placeCount) {
            table.add(
                Self.countCells(row.exits)
                    + [ForeignText.visible(row.place.exit), ForeignText.visible(row.place.what)])
        }
        let rest = changed.count - min(changed.count, Self.placeCount)
        let same = rows.count - changed.count
        var remarks: [String] = []
        if rest > 0 { remarks.append("\(rest) more differ") }
        if same > 0 { remarks.append("\(same) \(same == 1 ? "is" : "are") the same") }
        return [""] + (changed.isEmpty ? [] : lines(table))
            + (remarks.isEmpty ? [] : ["By \(heading): " + remarks.joined(separator: ", ") + "."])
    }

    /// A number of exits: exact as far as five digits go.
    private static func count(_ exits: Double) -> String {
        exits < 100_000 && exits == exits.rounded() ? String(UInt64(exits)) : HumanNumber.count(exits)
    }

    private static func percent(_ part: Double) -> String {
        part == 0 ? "=" : HumanNumber.fixed(part * 100, digits: 1) + "%"
    }

    /// How a number changed: by a share of what it was, or times what it was where that is easier to read.
    package static func change(_ first: Double, _ second: Double) -> String {
        if first == second { return "=" }
        if first == 0 { return "new" }
        if second == 0 { return "gone" }
        let ratio = second / first
        if ratio >= 3 { return "x" + HumanNumber.count(ratio) }
        let percent = HumanNumber.fixed((ratio >= 1 ? ratio - 1 : 1 - ratio) * 100, digits: 1)
        return (ratio >= 1 ? "+" : "-") + percent + "%"
    }

    // MARK: Below the tables

    private var remarks: [String] {
        let remarks = scope + inconstant + frequencies
        return remarks.isEmpty ? [] : [""] + remarks
    }

    /// What is compared where not all runs counted every exit.
    private var scope: [String] {
        if comparison.isEvery { return ["Rows with `kvm` are exits that KVM settled itself."] }
        let sides = [("A", comparison.first), ("B", comparison.second)]
        let every = sides.filter { $0.1.isEvery }.map(\.0), other = sides.filter { !$0.1.isEvery }.map(\.0)
        guard let all = every.first, let rest = other.first else { return [] }
        return ["\(all) counted every exit, \(rest) those that reach MiniVMM: the latter are compared."]
    }

    /// Exact counts that differ among the runs of a side, which those of a guest that does the same do not.
    private var inconstant: [String] {
        let rows = comparison.rows.filter { row in
            row.isExact && !(row.exits.first.isConstant && row.exits.second.isConstant)
        }
        guard !rows.isEmpty else { return [] }
        let parts = rows.map { row in
            let sides = [("A", row.exits.first), ("B", row.exits.second)].filter { !$0.1.isConstant }
            return row.name + " ("
                + sides.map { "\($0): \(Self.count($1.least)) to \(Self.count($1.most))" }.joined(separator: ", ") + ")"
        }
        return ["Counts that are the guest's doing, and differ from run to run: " + parts.joined(separator: ", ") + "."]
    }

    private var frequencies: [String] {
        func all(_ group: RunGroup) -> [UInt32?] { group.runs.map(\.tscKHz).firsts { $0 } }
        let (one, other) = (all(comparison.first), all(comparison.second))
        guard Set(one + other).count > 1 else { return [] }
        func words(_ frequencies: [UInt32?]) -> String {
            frequencies.map { $0.map { HumanNumber.fixed(Double($0) / 1000, digits: 0) + " MHz" } ?? "unknown" }
                .joined(separator: ", ")
        }
        return [
            "The time-stamp counters differ (A: \(words(one)), B: \(words(other))): cycles are not the same time."
        ]
    }
}
