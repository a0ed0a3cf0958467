import ArgumentParser

/// The options of files that are written when a run is over.
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
    var traceEvents = ReportConfiguration().traceEvents

    @Flag(help: "Trace what KVM settles itself besides, on a second track of each vCPU; needs --exits all.")
    var traceKernel = false

    /// What they ask for.
    var configuration: ReportConfiguration {
        ReportConfiguration(files: report, trace: trace, traceEvents: traceEvents, traceKernel: traceKernel)
    }

    func validate() throws {
        try configuration.validate()
    }
}

/// The options that say where exits come from.
struct ProfileOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Name the guest's functions by a System.map, a copy of its /proc/kallsyms, or an ELF file; repeatable.",
            valueName: "file"),
        completion: .file())
    var symbols: [String] = []

    @Option(
        help: ArgumentHelp(
            "Write where exits come from: folded stacks for flame graphs, or .pb.gz for pprof.", valueName: "file"),
        completion: .file())
    var profile: String?

    @Option(help: "What the widths in the profile stand for.")
    var profileWeight = ProfileConfiguration().weight

    /// What they ask for.
    var configuration: ProfileConfiguration {
        ProfileConfiguration(symbols: symbols, file: profile, weight: profileWeight)
    }
}

/// The options of statistics: their form, and where they go.
struct StatisticsOutputOptions: ParsableArguments {
    @Option(help: "The form of the statistics.")
    var stats = StatisticsConfiguration().form

    @Option(help: ArgumentHelp("Write the statistics to a file, not to standard error.", valueName: "file"))
    var statsFile: String?

    @Flag(name: .customLong("per-vcpu"), help: "Show each vCPU besides the totals.")
    var perVCPU = false

    /// What they ask for.
    var configuration: StatisticsConfiguration {
        StatisticsConfiguration(form: stats, file: statsFile, perVCPU: perVCPU)
    }
}

/// The options that say what is said of a run when it is over, and where.
struct StatisticsOptions: ParsableArguments {
    @OptionGroup(title: "Statistics") var output: StatisticsOutputOptions

    @Option(
        help: ArgumentHelp(
            "Show the places that most exits come from: what they are about, and which code of the guest made them.",
            valueName: "number"))
    var top: Int?

    /// What they ask for.
    var configuration: StatisticsConfiguration {
        var configuration = output.configuration
        configuration.top = top
        return configuration
    }

    func validate() throws {
        try configuration.validate()
    }
}

extension StatisticsConfiguration.Form: ExpressibleByArgument {}
