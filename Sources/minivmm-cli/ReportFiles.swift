import MiniVMM

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
