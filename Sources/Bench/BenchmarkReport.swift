import Host
public import Report

/// What exits cost on a host, as a table for a terminal of 80 columns.
public struct BenchmarkReport: Sendable {
    private let outcome: BenchmarkOutcome
    private let style: TextStyle

    /// A report of a benchmark.
    public init(_ outcome: BenchmarkOutcome, style: TextStyle = .plain) {
        self.outcome = outcome
        self.style = style
    }

    /// The whole report. Every line ends with a newline.
    public var text: String {
        (host + [""] + table + skipped + [""] + Self.explanation + (hasKernelTime ? Self.kernelExplanation : [])).map {
            $0 + "\n"
        }.joined()
    }

    private static let explanation = [
        "Cycles by the guest's RDTSC from before an operation to after it; the clock's own",
        "cost, the first row, is in every other. time is the median's.",
    ]

    private static let kernelExplanation = [
        "in KVM is KVM's own mean time for the exit, by its tracepoints: to the next",
        "entry, or to the return of KVM_RUN where it passes the exit on.",
    ]

    /// Whether KVM's tracepoints told what KVM takes.
    private var hasKernelTime: Bool { outcome.results.contains { $0.kernelNanoseconds != nil } }

    private var host: [String] {
        let host = outcome.host
        let frequency = outcome.tscKHz.map { ", TSC \(HumanNumber.fixed(Double($0) / 1000, digits: 0)) MHz" } ?? ""
        return [
            "\(host.processor ?? "unknown processor")\(frequency)",
            "Linux \(host.kernelRelease), \(host.modules.isEmpty ? "no KVM module" : host.modules.joined(separator: ", "))",
        ]
    }

    private var table: [String] {
        let width = hasKernelTime ? 7 : 6
        var table = TextTable([.left] + Array(repeating: .right, count: width - 1), style: style)
        // With one column more, a shorter head keeps the table within 80 columns.
        let repetitions = hasKernelTime ? "times" : "repetitions"
        let heads = ["operation", "min", "median", "p99", "time", repetitions, "in KVM"]
        table.add(Array(heads.prefix(width)), as: .heading)
        for result in outcome.results {
            let cells = [
                result.title, cycles(result.least, result), cycles(result.median, result), cycles(result.p99, result),
                time(result), String(result.repetitions),
                result.kernelNanoseconds.map { HumanNumber.seconds($0 / 1e9) } ?? "",
            ]
            table.add(Array(cells.prefix(width)))
        }
        return table.lines
    }

    /// Cycles of one item.
    private func cycles(_ value: UInt32, _ result: BenchmarkResult) -> String {
        result.items == 1 ? String(value) : HumanNumber.fixed(Double(value) / Double(result.items), digits: 1)
    }

    private func time(_ result: BenchmarkResult) -> String {
        guard let tscKHz = outcome.tscKHz else { return "-" }
        return HumanNumber.seconds(Double(result.median) / Double(result.items) / (Double(tscKHz) * 1000))
    }

    private var skipped: [String] {
        outcome.skipped.isEmpty
            ? [] : ["", "Not measured:"] + outcome.skipped.map { "  \($0.title): \($0.reason)" }
    }
}

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
        let kernelNanoseconds: Double?

        enum CodingKeys: String, CodingKey {
            case name
            case title
            case repetitions
            case items
            case min
            case median
            case p99
            case kernelNanoseconds = "kernel_ns"
        }
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
                min: result.least, median: result.median, p99: result.p99, kernelNanoseconds: result.kernelNanoseconds)
        }
        try container.encode(results, forKey: .results)
        let skipped = outcome.skipped.map { ["name": $0.name, "title": $0.title, "reason": $0.reason] }
        try container.encode(skipped, forKey: .skipped)
    }
}
