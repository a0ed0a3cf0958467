/// What exits cost on a host, as the JSON object that `minivmm bench --json` writes.
public struct BenchmarkRecord: Encodable, Sendable {
    private let outcome: BenchmarkOutcome

    /// The version of the format: raised when something is renamed or removed, not when something is added.
    public static let schemaVersion = 1

    /// The record of a benchmark.
    public init(_ outcome: BenchmarkOutcome) {
        self.outcome = outcome
    }

    /// The record as one JSON object on several lines, with sorted keys and a newline at the end.
    public func json() throws -> [UInt8] { try JSONText.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case schema
        case processor
        case kernel
        case modules
        case tscKHz = "tsc_khz"
        case results
        case skipped
    }

    /// An operation's cycles are those of all its items.
    private struct Result: Encodable {
        let name: String
        let title: String
        let repetitions: Int
        let items: Int
        let min: UInt32
        let median: UInt32
        let p99: UInt32
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.schemaVersion, forKey: .schema)
        try container.encode(outcome.host.processor, forKey: .processor)
        try container.encode(outcome.host.kernelRelease, forKey: .kernel)
        try container.encode(outcome.host.modules, forKey: .modules)
        try container.encode(outcome.tscKHz, forKey: .tscKHz)
        let results = outcome.results.map { result in
            Result(
                name: result.name, title: result.title, repetitions: result.repetitions, items: result.items,
                min: result.least, median: result.median, p99: result.p99)
        }
        try container.encode(results, forKey: .results)
        let skipped = outcome.skipped.map { ["name": $0.name, "title": $0.title, "reason": $0.reason] }
        try container.encode(skipped, forKey: .skipped)
    }
}
