import ArgumentParser
import Host
import MiniVMM
import Report

/// `minivmm compare`: two runs side by side.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Show two runs side by side, and how they differ by kind of exit.",
        discussion: """
            The files are those that `minivmm run --report FILE.json` or `--stats json` writes. Kinds stand in the \
            order of how much they differ in cycles. The exit status is 0 whether the runs differ or not. 65: a file \
            is no such report. 66: it cannot be read.
            """
    )

    @Argument(help: "The first run.", completion: .file(extensions: ["json"]))
    var first: String

    @Argument(help: "The second run, which is held against the first.", completion: .file(extensions: ["json"]))
    var second: String

    func run() throws {
        try Diagnostics.report {
            let report = ComparisonReport(
                try Self.read(first), try Self.read(second), names: (first, second),
                style: OutputFile.standardOutput.textStyle)
            try OutputFile.standardOutput.write(Array(report.text.utf8))
            return .success
        }
    }

    private static func read(_ path: String) throws -> RecordedStatistics {
        let bytes = try InputFile.read(path)
        do throws(RecordError) {
            return try RecordedStatistics(json: bytes)
        } catch {
            throw InputError.notARecord(path: path, error)
        }
    }
}
