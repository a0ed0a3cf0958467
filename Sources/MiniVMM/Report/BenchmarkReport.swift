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
        (host + [""] + table + skipped + [""] + Self.explanation).map { $0 + "\n" }.joined()
    }

    private static let explanation = [
        "Cycles by the guest's RDTSC from before an operation to after it; the clock's own",
        "cost, the first row, is in every other. time is the median's.",
    ]

    private var host: [String] {
        let host = outcome.host
        let frequency = outcome.tscKHz.map { ", TSC \(HumanNumber.fixed(Double($0) / 1000, digits: 0)) MHz" } ?? ""
        return [
            "\(host.processor ?? "unknown processor")\(frequency)",
            "Linux \(host.kernelRelease), \(host.modules.isEmpty ? "no KVM module" : host.modules.joined(separator: ", "))",
        ]
    }

    private var table: [String] {
        var table = TextTable([.left] + Array(repeating: .right, count: 5), style: style)
        table.add(["operation", "min", "median", "p99", "time", "repetitions"], as: .heading)
        for result in outcome.results {
            table.add([
                result.title, cycles(result.least, result), cycles(result.median, result), cycles(result.p99, result),
                time(result), String(result.repetitions),
            ])
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
