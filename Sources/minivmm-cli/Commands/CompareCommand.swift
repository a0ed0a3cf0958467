import ArgumentParser
import Host
import MiniVMM
import Report

/// `minivmm compare`: two runs side by side, or several a side, and rules that the second side has to keep.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Show runs side by side, how they differ by kind of exit, and whether rules are kept.",
        usage: "minivmm compare [<options>] <a> <b>\nminivmm compare [<options>] <a> ... -- <b> ...",
        discussion: """
            The files are those that `minivmm run --report FILE.json` or `--stats json` writes, with --repeat or without. \
            Of several runs on a side the medians are compared. What was not made alike is said first. Kinds stand in \
            the order of how much they differ in cycles.

            A rule is a number, an operator (> >= < <= !=) and a limit, which with + or - counts from the first side: \
            'exits>+0' (exits of the kinds whose number is the guest's doing alone), 'cpuid.count>+0', \
            'io_out[port 0x3f8].count>100', 'total.kernel_cycles>+10%'.

            The exit status is 0 whether the runs differ or not, and 3 when a rule is broken: each is named on standard \
            error. 64: wrong arguments. 65: a file is no such report. 66: it cannot be read.
            """
    )

    /// The forms of the output.
    enum Form: String, CaseIterable, ExpressibleByArgument {
        case text
        case markdown
        case json
        case githubBenchmark = "github-benchmark"
    }

    @Argument(
        help: "The first side and the second, or only the first where -- and the second follow.",
        completion: .file(extensions: ["json"]))
    var files: [String]

    @Option(
        name: .customLong("fail-if"),
        help: ArgumentHelp("End with status 3 when this holds; repeatable.", valueName: "rule"))
    var failIf: [String] = []

    @Option(
        help: ArgumentHelp("Take rules from a file, one a line; # begins a remark. Repeatable.", valueName: "file"),
        completion: .file())
    var rules: [String] = []

    @Option(help: "The form of the comparison.")
    var format = Form.text

    @Flag(help: "The same as --format json.")
    var json = false

    func run() throws {
        let parts = files.split(separator: CommandWords.sideDivider, omittingEmptySubsequences: false).map(Array.init)
        let sides = parts.count == 1 && files.count == 2 ? files.map { [$0] } : parts
        guard sides.count == 2, sides.allSatisfy({ !$0.isEmpty }) else {
            throw ValidationError("Give two files, or several of each side with -- between: compare A… -- B…")
        }
        try Diagnostics.report {
            var rules: [GateRule] = []
            for path in self.rules { rules += try GateRule.all(in: InputFile.read(path)) }
            for text in failIf { rules.append(try GateRule(text)) }
            let comparison = try Comparison(
                Self.group(sides[0]), Self.group(sides[1]), names: (sides[0], sides[1]), rules: rules)
            try OutputFile.standardOutput.write(bytes(comparison))
            for sentence in comparison.brokenRules { StandardError.write("minivmm: \(sentence)\n") }
            return comparison.brokenRules.isEmpty ? .success : .ruleBroken
        }
    }

    private func bytes(_ comparison: Comparison) throws -> [UInt8] {
        switch json ? .json : format {
        case .text:
            Array(ComparisonReport(comparison, style: OutputFile.standardOutput.textStyle).text.utf8)
        case .markdown: Array(ComparisonReport.markdown(comparison).utf8)
        case .json: try ComparisonRecord(comparison).json()
        case .githubBenchmark: try GitHubBenchmark(comparison).json()
        }
    }

    private static func group(_ paths: [String]) throws -> RunGroup {
        var runs: [RecordedStatistics] = []
        for path in paths {
            let bytes = try InputFile.read(path)
            do throws(RecordError) {
                runs += try RecordedStatistics.all(json: bytes)
            } catch {
                throw InputError.notARecord(path: path, error)
            }
        }
        guard let group = RunGroup(runs) else { throw InputError.notARecord(path: paths.first ?? "", .notARecord) }
        return group
    }
}
