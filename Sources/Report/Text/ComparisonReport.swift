import Counters
import FoundationEssentials
import Host

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
        (headings + [""] + table + placeTables + remarks).map { $0 + "\n" }.joined()
    }

    private var headings: [String] {
        [("A", names.first, first), ("B", names.second, second)].map { letter, name, run in
            let guest = run.guest.map { ", guest \($0)" } ?? ""
            return
                "\(letter): \(ForeignText.visible(name))\(guest), \(HumanNumber.spaced(seconds: Double(run.duration) / 1e9))"
        }
    }

    private var table: [String] {
        let runs = compared
        // The names of KVM's exits take the room of the means.
        let width = runs.isEvery ? 7 : 10
        var table = TextTable([.left] + Array(repeating: .right, count: width - 1), style: style)
        func add(_ cells: [String], as role: TextStyle.Role = .body) { table.add(Array(cells.prefix(width)), as: role) }
        add(["exit", "exits A", "B", "change", "cycles A", "B", "change", "mean A", "B", "change"], as: .heading)
        for name in names(of: runs) {
            add(row(name, Self.kind(name, runs.first), Self.kind(name, runs.second)))
        }
        add(row("total", Self.total(runs.first), Self.total(runs.second)), as: .strong)
        if let kernel = first.kernelExits, let other = second.kernelExits {
            add(
                [
                    "(KVM's count)", Self.count(kernel), Self.count(other),
                    Self.change(Double(kernel), Double(other)), "", "", "", "", "", "",
                ], as: .aside)
        }
        add(
            [
                "(KVM_RUN)", "", "", "", HumanNumber.count(first.runCycles), HumanNumber.count(second.runCycles),
                Self.change(Double(first.runCycles), Double(second.runCycles)), "", "", "",
            ], as: .aside)
        return table.lines
    }

    /// How many places are shown of each sort.
    private static let placeCount = 10

    /// What exits were about, and which functions made them, where both runs kept it: those with the largest difference.
    private var placeTables: [String] {
        guard var one = first.places, var other = second.places else { return [] }
        if !compared.isEvery { (one, other) = (one.withoutKernels, other.withoutKernels) }
        return placeTable("about", one.details, other.details)
            + (one.functions.isEmpty || other.functions.isEmpty
                ? [] : placeTable("function", one.functions, other.functions))
    }

    private func placeTable(
        _ heading: String, _ one: RecordedStatistics.Places.Counts, _ other: RecordedStatistics.Places.Counts
    ) -> [String] {
        typealias Row = (place: RecordedStatistics.Places.Place, first: UInt64, second: UInt64)
        let rows: [Row] = Set(one.keys).union(other.keys).map { ($0, one[$0] ?? 0, other[$0] ?? 0) }
        func difference(_ row: Row) -> UInt64 { max(row.first, row.second) - min(row.first, row.second) }
        // Names settle ties, so that the order is the same each time.
        let changed = rows.filter { $0.first != $0.second }.sorted {
            (difference($0), $1.place.exit, $1.place.what) > (difference($1), $0.place.exit, $0.place.what)
        }
        var table = TextTable([.right, .right, .right, .left, .left], style: style)
        table.add(["exits A", "B", "change", "exit", heading], as: .heading)
        for row in changed.prefix(Self.placeCount) {
            table.add([
                Self.count(row.first), Self.count(row.second), Self.change(Double(row.first), Double(row.second)),
                ForeignText.visible(row.place.exit), ForeignText.visible(row.place.what),
            ])
        }
        let rest = changed.count - min(changed.count, Self.placeCount)
        let same = rows.count - changed.count
        var remarks: [String] = []
        if rest > 0 { remarks.append("\(rest) more differ") }
        if same > 0 { remarks.append("\(same) \(same == 1 ? "is" : "are") the same") }
        return [""] + (changed.isEmpty ? [] : table.lines)
            + (remarks.isEmpty ? [] : ["By \(heading): " + remarks.joined(separator: ", ") + "."])
    }

    private typealias Kinds = [RecordedStatistics.Kind]

    /// What is compared: every exit where both runs counted every one, else those that reached MiniVMM.
    private var compared: Pair {
        guard let settled = first.settled, let other = second.settled else {
            return Pair(first: first.kinds, second: second.kinds, isEvery: false)
        }
        return Pair(first: first.kinds + settled, second: second.kinds + other, isEvery: true)
    }

    /// The kinds of both runs, and whether they are every exit.
    private struct Pair {
        let first, second: Kinds
        let isEvery: Bool
    }

    /// The kinds of either run; those with the maximum difference in cycles first.
    private func names(of runs: Pair) -> [String] {
        var seen: Set<String> = []
        let names = (runs.first + runs.second).map(\.name).filter { seen.insert($0).inserted }
        // There are no more than a few hundred, see ``RecordedStatistics/maximumKindCount``.
        let differences = names.map { name in
            let cycles = (Self.kind(name, runs.first).cycles, Self.kind(name, runs.second).cycles)
            return (name: name, cycles: max(cycles.0, cycles.1) - min(cycles.0, cycles.1))
        }
        return differences.sorted { ($0.cycles, $1.name) > ($1.cycles, $0.name) }.map(\.name)
    }

    private typealias Sum = (exits: UInt64, cycles: UInt64)

    private static func kind(_ name: String, _ kinds: Kinds) -> Sum {
        kinds.first { $0.name == name }.map { ($0.exits, $0.serviceCycles) } ?? (0, 0)
    }

    private static func total(_ kinds: Kinds) -> Sum {
        kinds.reduce((0, 0)) { ($0.0 &+ $1.exits, $0.1 &+ $1.serviceCycles) }
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
        var remarks: [String] = []
        if first.settled != nil, second.settled != nil {
            remarks.append("Rows with `kvm` are exits that KVM settled itself.")
        } else if first.settled != nil || second.settled != nil {
            let (all, other) = first.settled != nil ? ("A", "B") : ("B", "A")
            remarks.append(
                "\(all) counted every exit, \(other) those that reach MiniVMM: the latter are compared.")
        }
        if first.tscKHz != second.tscKHz {
            func frequency(_ run: RecordedStatistics) -> String {
                run.tscKHz.map { HumanNumber.fixed(Double($0) / 1000, digits: 0) + " MHz" } ?? "unknown"
            }
            remarks.append(
                "The time-stamp counters differ (A: \(frequency(first)), B: \(frequency(second))): "
                    + "cycles are not the same time.")
        }
        return remarks.isEmpty ? [] : [""] + remarks
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

    /// The exits that reached MiniVMM.
    package let kinds: [Kind]
    /// The exits that KVM settled, by reason, with their times in cycles; nil where the run did not count them.
    package let settled: [Kind]?
    /// Where exits came from, where the run kept that.
    package struct Places: Hashable, Sendable {
        /// What exits were, and what they were about or which function made them.
        package struct Place: Hashable, Sendable {
            package let exit: String
            package let what: String
        }
        package typealias Counts = [Place: UInt64]
        /// The exits by what they were about.
        package let details: Counts
        /// The exits by function; those without one are left out.
        package let functions: Counts

        /// Those that MiniVMM settled.
        fileprivate var withoutKernels: Places {
            Places(
                details: details.filter { !$0.key.exit.hasPrefix(ExitPlaces.kernelPrefix) },
                functions: functions.filter { !$0.key.exit.hasPrefix(ExitPlaces.kernelPrefix) })
        }
    }
    package let places: Places?
    /// KVM's own count of exits, where the run has it.
    package let kernelExits: UInt64?
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
        guard file.kinds.count <= Self.maximumKindCount, file.settled?.reasons.count ?? 0 <= Self.maximumReasonCount,
            file.kinds.allSatisfy({ Self.isName($0.kind) }),
            file.settled?.reasons.allSatisfy({ Self.isName($0.name) }) ?? true
        else { throw .notARecord }
        kinds = file.kinds.map {
            Kind(name: ForeignText.visible($0.kind), exits: $0.exits, serviceCycles: $0.serviceCycles)
        }
        // A frequency in kHz: so many cycles in a million nanoseconds.
        let cyclesPerNanosecond = Double(file.tscKHz ?? 1_000_000) / 1e6
        settled = file.settled.map { settled in
            Self.settledKinds(settled.reasons, cyclesPerNanosecond: cyclesPerNanosecond)
        }
        kernelExits =
            file.settled?.kernelExits
            ?? file.kernelStatistics.flatMap { vcpus in
                let counts = vcpus.compactMap { $0.counts["exits"] }
                return counts.isEmpty ? nil : counts.reduce(0, &+)
            }
        runCycles = file.total.runCycles
        duration = file.duration
        tscKHz = file.tscKHz
        guest = file.context.map { ForeignText.visible(String($0.guest.prefix(Self.maximumGuestLength))) }
        places = file.places.map { kept in
            var (details, functions): (Places.Counts, Places.Counts) = ([:], [:])
            for place in kept.places {
                let about = place.subject.map { text in place.subjectName.map { "\(text) (\($0))" } ?? text } ?? ""
                details[Places.Place(exit: place.name, what: about), default: 0] &+= place.exits
                guard let function = place.function else { continue }
                functions[Places.Place(exit: place.name, what: function), default: 0] &+= place.exits
            }
            return Places(details: details, functions: functions)
        }
    }

    /// More kinds than there are, and more reasons than a processor has; a file with more is no record.
    private static let maximumKindCount = 64
    private static let maximumReasonCount = 1024
    private static let maximumNameLength = 64
    /// How much of a guest's name is shown.
    private static let maximumGuestLength = 256

    private static func isName(_ text: String) -> Bool {
        text.utf8.count <= maximumNameLength
    }

    /// Sums by name: several of SVM's codes are one of the SDM's reasons.
    private static func settledKinds(_ reasons: [File.Reason], cyclesPerNanosecond: Double) -> [Kind] {
        var sums: [(name: String, exits: UInt64, nanoseconds: UInt64)] = []
        for reason in reasons where reason.exits > 0 {
            if let index = sums.firstIndex(where: { $0.name == reason.name }) {
                sums[index].exits &+= reason.exits
                sums[index].nanoseconds &+= reason.nanoseconds
            } else {
                sums.append((reason.name, reason.exits, reason.nanoseconds))
            }
        }
        return sums.map { sum in
            // A file may hold any number; what is beyond 64 bits is as much as there can be.
            let cycles = UInt64(exactly: (Double(sum.nanoseconds) * cyclesPerNanosecond).rounded()) ?? .max
            return Kind(
                name: ExitPlaces.kernelPrefix + ForeignText.visible(sum.name), exits: sum.exits, serviceCycles: cycles)
        }
    }

    /// The parts of the file that are needed, as they stand there.
    private struct File: Decodable {
        struct Reason: Decodable {
            let name: String
            let exits: UInt64
            let nanoseconds: UInt64

            enum CodingKeys: String, CodingKey {
                case name
                case exits
                case nanoseconds = "ns"
            }
        }

        struct Settled: Decodable {
            let reasons: [Reason]
            let kernelExits: UInt64?

            enum CodingKeys: String, CodingKey {
                case reasons
                case kernelExits = "kvm_exits"
            }
        }

        struct KernelCounts: Decodable {
            let counts: [String: UInt64]
        }

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

        struct Place: Decodable {
            let name: String
            let function: String?
            let subject: String?
            let subjectName: String?
            let exits: UInt64

            enum CodingKeys: String, CodingKey {
                case name
                case function
                case subject
                case subjectName = "subject_name"
                case exits
            }
        }

        struct Places: Decodable {
            let places: [Place]
        }

        let schema: Int
        let places: Places?
        let kinds: [Kind]
        let total: Total
        let duration: UInt64
        let tscKHz: UInt32?
        let context: Context?
        let settled: Settled?
        let kernelStatistics: [KernelCounts]?

        enum CodingKeys: String, CodingKey {
            case schema
            case places
            case kinds
            case total
            case duration = "duration_ns"
            case tscKHz = "tsc_khz"
            case context
            case settled = "kernel_settled"
            case kernelStatistics = "kernel_statistics"
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
