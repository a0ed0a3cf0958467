import FoundationEssentials

/// Two runs side by side, kind by kind, as a table for a terminal of 80 columns.
public struct ComparisonReport: Sendable {
    private let first: RecordedStatistics
    private let second: RecordedStatistics
    private let names: (first: String, second: String)
    private let style: TextStyle

    /// A comparison of two runs.
    ///
    /// - Parameters:
    ///   - first: The first run.
    ///   - second: The run that is held against it.
    ///   - names: What to call the runs, such as the files that they were read from.
    ///   - style: How the text is emphasized.
    public init(
        _ first: RecordedStatistics, _ second: RecordedStatistics, names: (String, String),
        style: TextStyle = .plain
    ) {
        self.first = first
        self.second = second
        self.names = (names.0, names.1)
        self.style = style
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        (headings + [""] + table + remarks).map { $0 + "\n" }.joined()
    }

    private var headings: [String] {
        [("A", names.first, first), ("B", names.second, second)].map { letter, name, run in
            let guest = run.guest.map { ", guest \($0)" } ?? ""
            return "\(letter): \(name)\(guest), \(HumanNumber.spaced(seconds: Double(run.duration) / 1e9))"
        }
    }

    private var table: [String] {
        var table = TextTable([.left] + Array(repeating: .right, count: 9), style: style)
        table.add(
            ["exit", "exits A", "B", "change", "cycles A", "B", "change", "mean A", "B", "change"], as: .heading)
        for name in kindNames {
            table.add(row(name, Self.kind(name, first), Self.kind(name, second)))
        }
        table.add(row("total", Self.total(first), Self.total(second)), as: .strong)
        let runs = [first.runCycles, second.runCycles]
        table.add(
            [
                "(KVM_RUN)", "", "", "", HumanNumber.count(runs[0]), HumanNumber.count(runs[1]),
                Self.change(Double(runs[0]), Double(runs[1])), "", "", "",
            ], as: .aside)
        return table.lines
    }

    /// The kinds of either run; those with the maximum difference in cycles first.
    private var kindNames: [String] {
        var names = first.kinds.map(\.name)
        names += second.kinds.map(\.name).filter { !names.contains($0) }
        func difference(_ name: String) -> UInt64 {
            let cycles = (Self.kind(name, first).cycles, Self.kind(name, second).cycles)
            return max(cycles.0, cycles.1) - min(cycles.0, cycles.1)
        }
        return names.sorted { (difference($0), $1) > (difference($1), $0) }
    }

    private typealias Sum = (exits: UInt64, cycles: UInt64)

    private static func kind(_ name: String, _ run: RecordedStatistics) -> Sum {
        run.kinds.first { $0.name == name }.map { ($0.exits, $0.serviceCycles) } ?? (0, 0)
    }

    private static func total(_ run: RecordedStatistics) -> Sum {
        run.kinds.reduce((0, 0)) { ($0.0 &+ $1.exits, $0.1 &+ $1.serviceCycles) }
    }

    private func row(_ name: String, _ first: Sum, _ second: Sum) -> [String] {
        let means = [first, second].map { $0.exits == 0 ? 0 : Double($0.cycles) / Double($0.exits) }
        return [
            name, Self.count(first.exits), Self.count(second.exits),
            Self.change(Double(first.exits), Double(second.exits)),
            HumanNumber.count(first.cycles), HumanNumber.count(second.cycles),
            Self.change(Double(first.cycles), Double(second.cycles)),
            first.exits == 0 ? "-" : HumanNumber.count(means[0]),
            second.exits == 0 ? "-" : HumanNumber.count(means[1]), Self.change(means[0], means[1]),
        ]
    }

    /// A number of exits: exact as far as five digits go.
    private static func count(_ exits: UInt64) -> String {
        exits < 100_000 ? String(exits) : HumanNumber.count(exits)
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

    private var remarks: [String] {
        guard first.tscKHz != second.tscKHz else { return [] }
        func frequency(_ run: RecordedStatistics) -> String {
            run.tscKHz.map { HumanNumber.fixed(Double($0) / 1000, digits: 0) + " MHz" } ?? "unknown"
        }
        return [
            "",
            "The time-stamp counters differ (A: \(frequency(first)), B: \(frequency(second))): "
                + "cycles are not the same time.",
        ]
    }
}

/// The statistics of a run, read back from the JSON that ``RunRecord`` wrote.
///
/// Members that this version does not know are passed over, and those that comparing does not need may be missing.
public struct RecordedStatistics: Hashable, Sendable {
    /// The exits of one kind.
    package struct Kind: Hashable, Sendable {
        package let name: String
        package let exits: UInt64
        package let serviceCycles: UInt64
    }

    package let kinds: [Kind]
    /// Time in KVM_RUN, in cycles.
    package let runCycles: UInt64
    /// Nanoseconds.
    package let duration: UInt64
    /// The frequency of the time-stamp counter in kHz, where it was known.
    package let tscKHz: UInt32?
    /// The guest's name, where it was recorded.
    package let guest: String?

    /// Reads a record.
    ///
    /// - Throws: ``RecordError`` when the text is no record of a run that this version understands.
    public init(json: [UInt8]) throws(RecordError) {
        let file: File
        do {
            file = try JSONDecoder().decode(File.self, from: Data(json))
        } catch {
            throw .notARecord
        }
        guard file.schema == RunRecord.schemaVersion else { throw .wrongSchema(file.schema) }
        kinds = file.kinds.map { Kind(name: $0.kind, exits: $0.exits, serviceCycles: $0.serviceCycles) }
        runCycles = file.total.runCycles
        duration = file.duration
        tscKHz = file.tscKHz
        guest = file.context?.guest
    }

    /// The parts of the file that are needed, as they stand there.
    private struct File: Decodable {
        struct Kind: Decodable {
            let kind: String
            let exits: UInt64
            let serviceCycles: UInt64

            enum CodingKeys: String, CodingKey {
                case kind
                case exits
                case serviceCycles = "service_cycles"
            }
        }

        struct Total: Decodable {
            let runCycles: UInt64

            enum CodingKeys: String, CodingKey {
                case runCycles = "run_cycles"
            }
        }

        struct Context: Decodable {
            let guest: String
        }

        let schema: Int
        let kinds: [Kind]
        let total: Total
        let duration: UInt64
        let tscKHz: UInt32?
        let context: Context?

        enum CodingKeys: String, CodingKey {
            case schema
            case kinds
            case total
            case duration = "duration_ns"
            case tscKHz = "tsc_khz"
            case context
        }
    }
}

/// Why a file is no record of a run.
public enum RecordError: Error, Hashable, Sendable {
    /// It is no JSON, or lacks what a record has.
    case notARecord
    /// It is a record of a format that this version does not know.
    case wrongSchema(Int)
}
