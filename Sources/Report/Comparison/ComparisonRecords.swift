import FoundationEssentials

/// A comparison as the JSON object that `minivmm compare --format json` prints. `Schemas/compare.schema.json` describes it.
public struct ComparisonRecord: Encodable, Sendable {
    /// The version of the format: raised when something is renamed or removed, not when something is added.
    public static let schemaVersion = 1

    private let comparison: Comparison

    /// The record of a comparison.
    public init(_ comparison: Comparison) {
        self.comparison = comparison
    }

    /// The record as one JSON object on several lines, with sorted keys and a newline at the end.
    public func json() throws -> [UInt8] { try JSONText.encode(self) }

    private struct Side: Encodable {
        let files: [String]
        let runs: Int
        let guest: String?

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(files, forKey: .files)
            try container.encode(runs, forKey: .runs)
            try container.encode(guest, forKey: .guest)
        }

        private enum CodingKeys: String, CodingKey {
            case files, runs, guest
        }
    }

    private struct Sides<Value: Encodable>: Encodable {
        let a: Value
        let b: Value
    }

    private struct Difference: Encodable {
        let what: String
        let a: [String]
        let b: [String]
    }

    private struct Kind: Encodable {
        let name: String
        let exact: Bool
        let exits: Sides<SpreadRecord>
        let cycles: Sides<SpreadRecord>

        init(_ row: Comparison.Row) {
            name = row.name
            exact = row.isExact
            exits = ComparisonRecord.sides(row.exits)
            cycles = ComparisonRecord.sides(row.cycles)
        }
    }

    private struct Place: Encodable {
        let exit: String
        let what: String
        let exits: Sides<SpreadRecord>

        init(_ row: Comparison.PlaceRow) {
            exit = row.place.exit
            what = row.place.what
            exits = ComparisonRecord.sides(row.exits)
        }
    }

    private struct Rule: Encodable {
        let verdict: GateRule.Verdict

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(verdict.rule.text, forKey: .rule)
            try container.encode(verdict.isBroken, forKey: .broken)
            try container.encode(verdict.first, forKey: .first)
            try container.encode(verdict.second, forKey: .second)
            try container.encode(verdict.limit, forKey: .limit)
            try container.encode(verdict.sentence, forKey: .sentence)
        }

        private enum CodingKeys: String, CodingKey {
            case rule, broken, limit, sentence
            case first = "a"
            case second = "b"
        }
    }

    private static func sides(_ pair: Comparison.Pair) -> Sides<SpreadRecord> {
        Sides(a: SpreadRecord(pair.first), b: SpreadRecord(pair.second))
    }

    private enum CodingKeys: String, CodingKey {
        case schema, version, a, b, differences, total, kinds, details, functions, rules
        case every = "every_exit"
        case runCycles = "run_cycles"
        case duration = "duration_ns"
        case kernelExits = "kvm_exits"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.schemaVersion, forKey: .schema)
        try container.encode(ReportMaker.version, forKey: .version)
        for (names, group, key) in [
            (comparison.names.first, comparison.first, CodingKeys.a), (comparison.names.second, comparison.second, .b),
        ] {
            try container.encode(Side(files: names, runs: group.runs.count, guest: group.guest), forKey: key)
        }
        try container.encode(
            comparison.differences.map { Difference(what: $0.name, a: $0.first, b: $0.second) }, forKey: .differences)
        try container.encode(comparison.isEvery, forKey: .every)
        try container.encode(Kind(comparison.total), forKey: .total)
        try container.encode(comparison.rows.map(Kind.init), forKey: .kinds)
        try container.encode(Self.sides(comparison.pair(\.runCycles)), forKey: .runCycles)
        try container.encode(Self.sides(comparison.pair(\.duration)), forKey: .duration)
        try container.encode(comparison.pair(ofAll: \.kernelExits).map(Self.sides), forKey: .kernelExits)
        try container.encode(comparison.details?.map(Place.init), forKey: .details)
        try container.encode(comparison.functions?.map(Place.init), forKey: .functions)
        try container.encode(comparison.verdicts.map(Rule.init), forKey: .rules)
    }
}

/// A number over several runs, in the JSON format.
struct SpreadRecord: Encodable {
    private let median: Double
    private let min: Double
    private let max: Double

    init(_ spread: Spread) {
        median = spread.median
        min = spread.least
        max = spread.most
    }
}

/// The second side of a comparison as github-action-benchmark reads it, with the tool `customSmallerIsBetter`.
///
/// Source: https://github.com/benchmark-action/github-action-benchmark, README, "customBiggerIsBetter and
/// customSmallerIsBetter".
public struct GitHubBenchmark: Sendable {
    private let comparison: Comparison

    /// The numbers of a comparison.
    public init(_ comparison: Comparison) {
        self.comparison = comparison
    }

    private struct Entry: Encodable {
        let name: String
        let unit: String
        let value: Double
        let range: String
        let extra: String

        init(_ name: String, unit: String, _ pair: Comparison.Pair) {
            self.name = name
            self.unit = unit
            value = pair.second.median
            range = "± " + HumanNumber.fixed(pair.second.relative * 50, digits: 1) + "%"
            extra = "before: \(HumanNumber.count(pair.first.median))"
        }
    }

    /// A JSON array, and a newline. Counts are those of exact kinds: those of interrupts would raise false alarms.
    public func json() throws -> [UInt8] {
        let guest = comparison.second.guest.map { $0 + ": " } ?? ""
        var entries: [Entry] = []
        for row in comparison.rows where row.isExact {
            entries.append(Entry("\(guest)\(row.name)", unit: "exits", row.exits))
        }
        entries.append(Entry("\(guest)service time", unit: "cycles", comparison.total.cycles))
        entries.append(Entry("\(guest)KVM_RUN", unit: "cycles", comparison.pair(\.runCycles)))
        return try JSONText.encode(entries)
    }
}
