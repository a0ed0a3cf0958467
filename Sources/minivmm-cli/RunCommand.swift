import ArgumentParser
import MiniVMM

/// `minivmm run`: boots a guest, and says afterwards what its exits cost.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a guest.",
        discussion: """
            The guest's console is standard input and output; statistics and messages go to standard error. While \
            Linux runs on a terminal, every key goes to the guest, Ctrl-C included, but for these:

            \(EscapeKeys.help)

            The exit status is the guest's own: 0 when it halts, what it writes to port 0xf4 when it does. \
            1: the guest died. 64: wrong arguments. 65: the image is not acceptable. 66: it cannot be read. \
            69: no usable KVM. 70: a fault of MiniVMM. 71: the system refused memory or threads. 74: the console or a \
            file could not be written. 124: --timeout. 130, 143: SIGINT, SIGTERM.
            """
    )

    @OptionGroup(title: "Guest") var guest: GuestOptions
    @OptionGroup(title: "Processors") var processors: ProcessorOptions
    @OptionGroup(title: "CPUID") var cpuid: CPUIDOptions
    @OptionGroup(title: "Statistics") var statistics: StatisticsOptions
    @OptionGroup(title: "Reports") var reports: ReportOptions
    @OptionGroup(title: "Machine") var host: HostOptions

    @OptionGroup(title: "Machine") var limits: RunLimits

    /// The options without ArgumentParser's groups.
    var request: RunRequest {
        RunRequest(
            guest: guest, processors: processors, cpuid: cpuid, statistics: statistics, reports: reports, host: host,
            limits: limits)
    }

    func run() throws {
        try request.run()
    }
}
