import ArgumentParser
import Counters
import Glibc
import Host
import MiniVMM
import Report

/// Files that are written when a run is over.
struct ReportConfiguration: Hashable, Sendable {
    /// The paths of reports, whose forms their names say.
    var files: [String] = []
    /// The path of a trace.
    var trace: String?
    /// How many exits of each vCPU the trace keeps.
    var traceEvents = RecordingOptions.defaultTraceCapacity
    /// Whether the trace has what KVM settles besides.
    var traceKernel = false

    /// Checks the forms and the number.
    func validate() throws {
        for path in files where ReportForm(path: path) == nil {
            throw ValidationError("--report takes a file whose name ends in .html, .json or .csv, and not `\(path)`.")
        }
        guard (1...RecordingOptions.maximumTraceCapacity).contains(traceEvents) else {
            throw ValidationError("--trace-events takes a number from 1 to \(RecordingOptions.maximumTraceCapacity).")
        }
        if traceKernel, trace == nil { throw ValidationError("--trace-kernel needs --trace.") }
    }

    /// Checks that what is wanted of KVM's exits is counted.
    func validate(exits: ExitScope) throws {
        if traceKernel, exits != .all, exits != .auto {
            throw ValidationError("--trace-kernel needs --exits all, or auto.")
        }
    }

    /// The paths of all files.
    var outputs: [String] { files + trace.elements }

    /// Lets the machine keep what the files need.
    func apply(to options: inout MachineOptions) {
        options.recording.keepsTimeline = files.contains { ReportForm(path: $0) != .csv }
        if options.recording.keepsTimeline {
            options.recording.readsKernelStatistics = true
            options.recording.readsScheduling = true
        }
        options.recording.traceCapacity = trace == nil ? nil : traceEvents
        options.recording.tracesKernel = traceKernel
    }

    /// Opens the files, before the run, so that a wrong path does not cost one.
    func openFiles() throws -> ReportFiles {
        ReportFiles(
            reports: try files.compactMap { path in
                try ReportForm(path: path).map { ($0, try OutputFile(creating: path)) }
            },
            trace: try trace.map { try OutputFile(creating: $0) },
            circumstances: nil
        )
    }

    /// Whether a file says what host it was.
    var wantsHost: Bool { files.contains { ReportForm(path: $0) != .csv } }
}

/// What is said of a run when it is over, and where.
struct StatisticsConfiguration: Hashable, Sendable {
    /// The forms of the statistics.
    enum Form: String, CaseIterable {
        case table
        case json
        case none
    }

    /// The form.
    var form = Form.table
    /// The path of a file, in place of standard error.
    var file: String?
    /// Whether each vCPU is shown besides the totals.
    var perVCPU = false
    /// How many of the places are shown that exits come from.
    var top: Int?

    /// Lets the machine keep what the statistics show.
    func apply(to options: inout MachineOptions) {
        if form != .none { options.recording.readsKernelStatistics = true }
        if form == .json { options.recording.readsScheduling = true }
        if top != nil { options.recording.placeCapacity = ExitPlaces.defaultCapacity }
    }

    /// Checks the number.
    func validate() throws {
        guard top.map({ $0 > 0 }) ?? true else { throw ValidationError("--top takes a number above 0.") }
    }

    /// The statistics in the form that was asked for.
    func text(
        _ outcome: RunOutcome, leaves: CounterLeaves, context: RunContext?, style: TextStyle
    ) throws -> [UInt8] {
        switch form {
        case .table:
            Array(
                TextReport(
                    outcome, perVCPU: perVCPU, top: top ?? 0, advice: "See `minivmm doctor`.",
                    remedies: .command, style: style
                ).text.utf8)
        case .json:
            try RunRecord(
                outcome, leaves: leaves, exitStatus: outcome.ending.exitStatus.rawValue, context: context,
                remedies: .command
            ).json()
        case .none: []
        }
    }

    /// Opens where the statistics go, before the run, so that a wrong path does not cost one.
    func openSink() throws -> OutputFile {
        guard form != .none, let file else { return .standardError }
        return try OutputFile(creating: file)
    }
}

/// When and where a run is made.
struct Circumstances {
    /// In seconds since 1970.
    private let startedAt = Int64(time(nil))
    private let host = HostDescription.current
    private let conditions: HostConditions

    /// Those of now.
    ///
    /// - Parameter pin: The CPUs that vCPUs are kept on.
    init(pin: CPUList?) {
        var conditions = HostConditions(root: "/")
        conditions.pinnedCPUs = pin?.description
        self.conditions = conditions
    }

    /// What a report says of them.
    func context(_ machine: Machine, guest: String) -> RunContext {
        RunContext(
            command: CommandWords.ofThisProcess.asTyped, startedAt: startedAt, guest: guest,
            machine: machine.machineDescription, host: host, conditions: conditions)
    }
}

/// The files that are written when a run is over, open.
struct ReportFiles {
    let reports: [(form: ReportForm, file: OutputFile)]
    let trace: OutputFile?
    /// When and where the run was made, where that is to be told: looked at before the run, because afterwards the process may
    /// not look any more.
    var circumstances: Circumstances?

    /// All of the files.
    var outputs: [OutputFile] { reports.map(\.file) + trace.elements }

    /// Writes all of them.
    ///
    /// - Parameters:
    ///   - guest: The guest's name.
    ///   - program: The name of the program in it; the guest's where there is none.
    ///   - attempts: Keeps what fails.
    func write(
        _ outcome: RunOutcome, leaves: CounterLeaves, machine: Machine, guest: String, program: String,
        _ attempts: inout OutputAttempts
    ) {
        if !reports.isEmpty {
            let context = circumstances?.context(machine, guest: guest)
            let programs = ProfileFiles.programs(isFlat: machine.isFlat, program: program)
            for (form, file) in reports {
                attempts.attempt {
                    try file.write(Self.bytes(form, outcome, leaves, context, programs))
                    try file.finish()
                }
            }
        }
        if let trace, let exits = outcome.trace {
            attempts.attempt {
                try TraceReport(exits, tscKHz: outcome.tscKHz).write { try trace.write($0) }
                try trace.finish()
            }
        }
    }

    private static func bytes(
        _ form: ReportForm, _ outcome: RunOutcome, _ leaves: CounterLeaves, _ context: RunContext?,
        _ programs: @escaping (ExitPlaces.Place) -> String
    ) throws -> [UInt8] {
        switch form {
        case .html:
            // What wants a page wants the circumstances.
            context.map { context in
                Array(
                    HTMLReport(
                        outcome, leaves: leaves, context: context, remedies: .command, program: programs
                    ).text.utf8)
            } ?? []
        case .json:
            try RunRecord(
                outcome, leaves: leaves, exitStatus: outcome.ending.exitStatus.rawValue, context: context,
                remedies: .command
            ).json()
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
