import ArgumentParser
import Counters
import Glibc
import MiniVMM
import Report

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

/// What is said of a run when it is over, and where.
struct StatisticsOptions: ParsableArguments {
    /// The forms of the statistics.
    enum Form: String, CaseIterable, ExpressibleByArgument {
        case table
        case json
        case none
    }

    @Option(help: "The form of the statistics.")
    var stats = Form.table

    @Option(help: ArgumentHelp("Write the statistics to a file, not to standard error.", valueName: "file"))
    var statsFile: String?

    @Flag(name: .customLong("per-vcpu"), help: "Show each vCPU besides the totals.")
    var perVCPU = false

    /// Nothing given.
    static var defaults: StatisticsOptions {
        var options = StatisticsOptions()
        (options.stats, options.statsFile, options.perVCPU) = (.table, nil, false)
        return options
    }

    /// Lets the machine keep what the statistics show.
    func apply(to options: inout MachineOptions) {
        if stats != .none { options.recording.readsKernelStatistics = true }
    }

    /// The statistics in the form that was asked for.
    func text(_ outcome: RunOutcome, leaves: CounterLeaves, style: TextStyle) throws -> [UInt8] {
        switch stats {
        case .table: Array(TextReport(outcome, perVCPU: perVCPU, style: style).text.utf8)
        case .json: try RunRecord(outcome, leaves: leaves).json()
        case .none: []
        }
    }

    /// Opens where the statistics go, before the run, so that a wrong path does not cost one.
    func openSink() throws -> OutputFile {
        guard stats != .none, let statsFile else { return .standardError }
        return try OutputFile(creating: statsFile)
    }
}

/// The files that are written when a run is over, open.
struct ReportFiles {
    let reports: [(form: ReportForm, file: OutputFile)]
    let trace: OutputFile?
    /// When the run began, in seconds since 1970.
    let startedAt: Int64

    /// Writes all of them.
    ///
    /// - Parameter guest: The guest's name.
    func write(_ outcome: RunOutcome, leaves: CounterLeaves, machine: Machine, guest: String) throws {
        if !reports.isEmpty {
            let context = RunContext(
                command: CommandLine.arguments, startedAt: startedAt, guest: guest, machine: machine.machineDescription)
            for (form, file) in reports { try file.write(Self.bytes(form, outcome, leaves, context)) }
        }
        if let trace, let exits = outcome.trace {
            try TraceReport(exits, tscKHz: outcome.tscKHz).write { try trace.write($0) }
        }
    }

    private static func bytes(
        _ form: ReportForm, _ outcome: RunOutcome, _ leaves: CounterLeaves, _ context: RunContext
    ) throws -> [UInt8] {
        switch form {
        case .html: Array(HTMLReport(outcome, leaves: leaves, context: context).text.utf8)
        case .json: try RunRecord(outcome, leaves: leaves, context: context).json()
        case .csv: Array(CSVReport(outcome).text.utf8)
        }
    }
}

/// The forms of a report, named after the ends of their files' names.
enum ReportForm: String, CaseIterable {
    case html
    case json
    case csv

    /// The form that a file's name asks for.
    init?(path: String) {
        guard let dot = path.lastIndex(of: ".") else { return nil }
        self.init(rawValue: path[path.index(after: dot)...].lowercased())
    }
}
