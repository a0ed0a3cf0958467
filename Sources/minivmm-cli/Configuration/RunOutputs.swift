import Counters
import MiniVMM

/// Where goes what a run came to: the statistics, the reports and the profile. Open before the run, so that a wrong path
/// does not cost one.
struct RunOutputs {
    private let statistics: StatisticsConfiguration
    private let sink: OutputFile
    private var files: ReportFiles
    /// The profile, and what names the functions in all of them.
    var profiles: ProfileFiles
    /// The paths of all that are files.
    let paths: [String]

    /// Opens them.
    ///
    /// - Parameters:
    ///   - pin: The CPUs that vCPUs are kept on.
    ///   - inputs: The files that the run reads besides the symbols: none of them may be an output.
    init(
        _ statistics: StatisticsConfiguration, _ reports: ReportConfiguration, _ profile: ProfileConfiguration,
        pin: CPUList?, inputs: [String]
    ) throws {
        paths = statistics.file.elements + reports.outputs + profile.file.elements
        try FilePlan.check(inputs: inputs + profile.symbols, outputs: paths)
        self.statistics = statistics
        sink = try statistics.openSink()
        files = try reports.openFiles()
        // It takes a while to look at a host, so that a run of which nobody asks for it does not.
        if statistics.form == .json || reports.wantsHost { files.circumstances = Circumstances(pin: pin) }
        profiles = try profile.open()
    }

    /// All files.
    var all: [OutputFile] { [sink] + files.outputs + profiles.file.elements }

    /// Says how the run ended, and writes everything.
    ///
    /// - Parameters:
    ///   - guest: The guest's name.
    ///   - program: The name of the program in it, if it has one.
    func write(
        _ outcome: RunOutcome, leaves: CounterLeaves, machine: Machine, guest: String, program: String? = nil
    ) throws {
        var outcome = outcome
        profiles.name(&outcome)
        RunAnnouncement.announce(outcome, functionName: profiles.functionName(outcome))
        let program = program ?? guest
        var attempts = OutputAttempts()
        // The files first: the table may go to a terminal or a reader that has gone, which takes its time to say so.
        files.write(outcome, leaves: leaves, machine: machine, guest: guest, program: program, &attempts)
        attempts.attempt { try profiles.write(outcome, machine: machine, program: program) }
        attempts.attempt {
            // Between the guest's last line and the table.
            if statistics.form == .table, statistics.file == nil { try sink.write([UInt8(ascii: "\n")]) }
            let context = files.circumstances?.context(machine, guest: guest)
            try sink.write(statistics.text(outcome, leaves: leaves, context: context, style: sink.textStyle))
            try sink.finish()
        }
        try attempts.finish()
    }
}

/// Writes of several outputs, each of which is made whatever became of the others.
struct OutputAttempts {
    private var failures: [any Error] = []

    /// Writes one.
    mutating func attempt(_ write: () throws -> Void) {
        do { try write() } catch { failures.append(error) }
    }

    /// Says which failed.
    ///
    /// - Throws: The last failure. Those before it have been shown.
    func finish() throws {
        guard let last = failures.last else { return }
        for case let failure as any DiagnosticError in failures.dropLast() { Diagnostics.show(failure) }
        throw last
    }
}
