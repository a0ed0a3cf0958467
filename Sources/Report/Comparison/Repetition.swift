import Counters
import FoundationEssentials
import Host

/// What a command that was repeated has come to.
public struct Repetition: Sendable {
    /// The runs, as reports have them.
    package let runs: [ReportedRun]
    package let group: RunGroup
    /// The same as their texts in JSON.
    private let records: [[UInt8]]
    /// How many runs were made before them that are not among them.
    package let warmupCount: Int

    /// Takes the runs together.
    ///
    /// - Parameters:
    ///   - records: The report of each run in JSON, one at least.
    ///   - warmupCount: How many runs were made before them.
    /// - Throws: ``RecordError`` where a report is none.
    public init(records: [[UInt8]], warmupCount: Int) throws(RecordError) {
        var runs: [ReportedRun] = []
        var statistics: [RecordedStatistics] = []
        for record in records {
            let run = try ReportedRun(json: record)
            runs.append(run)
            statistics.append(try RecordedStatistics(run))
        }
        guard let group = RunGroup(statistics) else { throw .notARecord }
        self.runs = runs
        self.group = group
        self.records = records
        self.warmupCount = warmupCount
    }

    /// A run that is unlike the others.
    package struct Outlier: Hashable, Sendable {
        /// The number of the run, from 1.
        package let run: Int
        /// In what: `duration_ns`, or a kind whose exits are the guest's doing alone.
        package let what: String
        package let value: Double
        package let median: Double
    }

    /// Fewer runs than that do not tell what is usual.
    private static let leastCount = 5
    /// How many times the median distance from the median is far.
    private static let farDistance = 5.0
    /// What is nearer than this part of the median is never far.
    private static let nearPart = 0.05

    /// The runs whose time lies far from the median, by more than five times the median distance and 5%; and those with
    /// other exact counts than more than half of the runs have.
    package var outliers: [Outlier] {
        guard group.runs.count >= Self.leastCount else { return [] }
        let times = group.runs.map { Double($0.duration) }
        let median = Spread(times).median
        let distance = Spread(times.map { abs($0 - median) }).median
        let far = max(Self.farDistance * distance, Self.nearPart * median)
        var outliers = times.enumerated().filter { abs($0.element - median) > far }.map {
            Outlier(run: $0.offset + 1, what: "duration_ns", value: $0.element, median: median)
        }
        for kind in kinds where kind.isExact {
            let counts = group.runs.map { Double($0.exits(of: kind.name)) }
            let usual = Spread(counts).median
            guard counts.count(where: { $0 == usual }) * 2 > counts.count else { continue }
            outliers += counts.enumerated().filter { $0.element != usual }.map {
                Outlier(run: $0.offset + 1, what: kind.name, value: $0.element, median: usual)
            }
        }
        return outliers
    }

    /// The exits of one kind over all runs.
    package struct Row: Sendable {
        package let name: String
        package let isExact: Bool
        package let exits: Spread
        package let cycles: Spread
    }

    /// The kinds of any run; those that took most time first.
    package var kinds: [Row] {
        let kinds = group.runs.flatMap { $0.kinds(every: group.isEvery) }.firsts(by: \.name)
        return kinds.map { kind in
            Row(
                name: kind.name, isExact: kind.isExact, exits: group.spread { $0.exits(of: kind.name) },
                cycles: group.spread { $0.cycles(of: kind.name) })
        }.sorted { ($0.cycles.median, $1.name) > ($1.cycles.median, $0.name) }
    }

    /// The sum of all.
    package var total: Row {
        let isEvery = group.isEvery
        return Row(
            name: "total", isExact: false, exits: group.spread { $0.exits(every: isEvery) },
            cycles: group.spread { $0.cycles(every: isEvery) })
    }
}

/// The text for a terminal of 80 columns.
extension Repetition {
    /// The whole report. Every line ends with a newline.
    public func text(_ style: TextStyle) -> String {
        var table = TextTable([.left] + Array(repeating: .right, count: 7), style: style)
        table.add(["exit", "count", "least", "most", "cycles", "least", "most", "spread"], as: .heading)
        for row in kinds { table.add(Self.cells(row)) }
        table.add(Self.cells(total), as: .strong)
        table.add(["(KVM_RUN)", "", "", ""] + Self.cycleCells(group.spread(\.runCycles)), as: .aside)
        let lines = [style.text(heading, as: .strong), ""] + table.lines + remarks
        return lines.map { $0 + "\n" }.joined()
    }

    private var heading: String {
        let duration = group.spread(\.duration)
        let times = [duration.median, duration.least, duration.most].map { HumanNumber.spaced(seconds: $0 / 1e9) }
        let count = group.runs.count
        let warmup = warmupCount == 0 ? "" : " after \(warmupCount) to warm up"
        return "\(count) run\(count == 1 ? "" : "s")\(warmup): \(times[0]) (\(times[1]) to \(times[2]))."
    }

    private static func cells(_ row: Row) -> [String] {
        let counts = [row.exits.median, row.exits.least, row.exits.most].map { count in
            count < 1e8 && count == count.rounded() ? String(UInt64(count)) : HumanNumber.count(count)
        }
        return [row.name, counts[0]] + (row.exits.isConstant ? ["=", "="] : Array(counts.dropFirst()))
            + cycleCells(row.cycles)
    }

    private static func cycleCells(_ cycles: Spread) -> [String] {
        [cycles.median, cycles.least, cycles.most].map { HumanNumber.count($0) }
            + [HumanNumber.fixed(cycles.relative * 100, digits: 1) + "%"]
    }

    /// The most outliers that are named.
    private static let maximumNameCount = 5

    private var remarks: [String] {
        let all = outliers
        var lines = all.prefix(Self.maximumNameCount).map { outlier in
            func words(_ value: Double) -> String {
                outlier.what == "duration_ns"
                    ? HumanNumber.spaced(seconds: value / 1e9) : "\(UInt64(value)) \(outlier.what)"
            }
            return "Outlier: run \(outlier.run), \(words(outlier.value)); the median is \(words(outlier.median))."
        }
        if all.count > lines.count { lines.append("\(all.count - lines.count) more outliers.") }
        let endings = runs.map(\.outcome.summary).firsts { $0 }
        if endings.count > 1 {
            let counts = endings.map { ending in
                "\(ForeignText.visible(ending)) (\(runs.count { $0.outcome.summary == ending }))"
            }
            lines.append("Not all ended alike: " + counts.joined(separator: ", ") + ".")
        }
        return lines.isEmpty ? [] : [""] + lines
    }
}

/// The JSON object, `Schemas/runs.schema.json` describes it.
extension Repetition {
    /// The version of the format: raised when something is renamed or removed, not when something is added.
    public static var schemaVersion: Int { RunRecord.schemaVersion }

    private struct OutlierRecord: Encodable {
        let run: Int
        let what: String
        let value: Double
        let median: Double
    }

    private struct KindRecord: Encodable {
        let name: String
        let exact: Bool
        let exits: SpreadRecord
        let cycles: SpreadRecord

        init(_ row: Row) {
            name = row.name
            exact = row.isExact
            exits = SpreadRecord(row.exits)
            cycles = SpreadRecord(row.cycles)
        }
    }

    private struct Summary: Encodable {
        let duration: SpreadRecord
        let runCycles: SpreadRecord
        let total: KindRecord
        let kinds: [KindRecord]

        private enum CodingKeys: String, CodingKey {
            case duration = "duration_ns"
            case runCycles = "run_cycles"
            case total, kinds
        }
    }

    /// All runs as one JSON object on several lines, with sorted keys and a newline at the end.
    public func json() throws -> [UInt8] {
        let outliers = outliers.map {
            OutlierRecord(run: $0.run, what: $0.what, value: $0.value, median: $0.median)
        }
        let summary = Summary(
            duration: SpreadRecord(group.spread(\.duration)), runCycles: SpreadRecord(group.spread(\.runCycles)),
            total: KindRecord(total), kinds: kinds.map(KindRecord.init))
        // The runs' own texts are put in as they are, so that they keep all that a reader may not know.
        let members: [(String, [UInt8])] = [
            ("outliers", try JSONText.encode(outliers)), ("runs", Self.array(records)),
            ("schema", try JSONText.encode(Self.schemaVersion)), ("summary", try JSONText.encode(summary)),
            ("version", try JSONText.encode(ReportMaker.version)), ("warmup", try JSONText.encode(warmupCount)),
        ]
        let lines = members.map { name, value in Array("  \"\(name)\" : ".utf8) + Self.indented(value) }
        return Array("{\n".utf8) + Array(lines.joined(separator: Array(",\n".utf8))) + Array("\n}\n".utf8)
    }

    private static func array(_ values: [[UInt8]]) -> [UInt8] {
        let items = values.map { Array("  ".utf8) + indented($0) }
        return Array("[\n".utf8) + Array(items.joined(separator: Array(",\n".utf8))) + Array("\n]\n".utf8)
    }

    /// A JSON text two columns to the right, but for its first line, and without its last newline. In JSON, newlines stand
    /// between values alone.
    private static func indented(_ text: [UInt8]) -> [UInt8] {
        let newline = UInt8(ascii: "\n")
        let lines = text.split(separator: newline)
        return Array(lines.joined(separator: [newline] + Array("  ".utf8)))
    }
}
