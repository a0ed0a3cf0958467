import ArgumentParser
import Glibc
import MiniVMM

/// Files that are written when a run is over.
struct ReportOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Write a report: .html for pictures, .json or .csv for programs; repeatable.", valueName: "file"),
        completion: .file(extensions: ReportForm.allCases.map(\.rawValue)))
    var report: [String] = []

    @Option(
        help: ArgumentHelp("Write every exit to a file for Perfetto or chrome://tracing.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var trace: String?

    @Option(
        help: ArgumentHelp("How many exits of each vCPU the trace keeps, the last ones.", valueName: "number"))
    var traceEvents = RecordingOptions.defaultTraceCapacity

    /// Nothing given.
    static var defaults: ReportOptions {
        var options = ReportOptions()
        (options.report, options.trace) = ([], nil)
        options.traceEvents = RecordingOptions.defaultTraceCapacity
        return options
    }

    func validate() throws {
        for path in report where ReportForm(path: path) == nil {
            throw ValidationError("--report takes a file whose name ends in .html, .json or .csv, and not `\(path)`.")
        }
        guard (1...RecordingOptions.greatestTraceCapacity).contains(traceEvents) else {
            throw ValidationError("--trace-events takes a number from 1 to \(RecordingOptions.greatestTraceCapacity).")
        }
    }

    /// Lets the machine keep what the files need.
    func apply(to options: inout MachineOptions) {
        options.recording.keepsTimeline = report.contains { ReportForm(path: $0) != .csv }
        if options.recording.keepsTimeline { options.recording.readsKernelStatistics = true }
        options.recording.traceCapacity = trace == nil ? nil : traceEvents
    }

    /// Opens the files, before the run, so that a wrong path does not cost one.
    func openFiles() throws -> ReportFiles {
        ReportFiles(
            reports: try report.compactMap { path in
                try ReportForm(path: path).map { ($0, try OutputFile(creating: path)) }
            },
            trace: try trace.map { try OutputFile(creating: $0) },
            startedAt: Int64(time(nil))
        )
    }
}
