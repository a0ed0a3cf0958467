import ArgumentParser
import MiniVMM

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
