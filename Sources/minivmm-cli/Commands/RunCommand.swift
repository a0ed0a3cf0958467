import ArgumentParser
import Counters
import Devices
import Glibc
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
    @OptionGroup(title: "Devices") var devices: DeviceOptions
    @OptionGroup(title: "Devices") var console: ConsoleOptions
    @OptionGroup(title: "Processors") var processors: ProcessorOptions
    @OptionGroup(title: "CPUID") var cpuid: CPUIDOptions
    @OptionGroup(title: "Statistics") var statistics: StatisticsOptions
    @OptionGroup(title: "Reports") var reports: ReportOptions
    @OptionGroup(title: "Reports") var profile: ProfileOptions
    @OptionGroup(title: "Machine") var host: HostOptions

    @OptionGroup(title: "Machine") var limits: RunLimits
    @OptionGroup(title: "Repetition") var repetition: RepeatOptions
    @OptionGroup(title: "While it runs") var live: LiveOptions
    @OptionGroup(title: "While it runs") var metrics: MetricsOptions
    @OptionGroup(title: "Debugger") var debugger: DebuggerOptions
    @OptionGroup(title: "Tests") var test: TestOptions

    /// What the options ask for.
    var configuration: RunConfiguration {
        var devices = devices.configuration
        devices.console = console.console
        return RunConfiguration(
            guest: guest.configuration, processors: processors.configuration, cpuid: cpuid.configuration,
            statistics: statistics.configuration, reports: reports.configuration, profile: profile.configuration,
            host: host.configuration, limits: limits.configuration, devices: devices,
            debugger: debugger.configuration, test: test.configuration, repetition: repetition.configuration,
            live: live.configuration, metrics: metrics.configuration)
    }

    func validate() throws {
        try reports.configuration.validate(exits: cpuid.configuration.exits ?? .user)
        try repetition.configuration.validate(
            reports.configuration, profile.configuration, debugger.configuration, live.configuration,
            metrics.configuration, file: guest.file)
        try live.configuration.validate()
    }

    func run() throws {
        try configuration.run()
    }
}

extension RunConfiguration {
    /// Does what is asked for, and ends the command with its status.
    func run() throws {
        // A reader of standard output that has gone ends the run with its statistics, not the process without them.
        signal(SIGPIPE, SIG_IGN)
        // Likewise a file that may grow no more.
        signal(SIGXFSZ, SIG_IGN)
        try Diagnostics.report {
            let inputs = guest.inputs + devices.disks.map(\.path)
            if repetition.count != nil {
                return try RepeatedRuns(repetition).run(statistics, reports, inputs: inputs)
            }
            if live.hasScreen { try LiveScreen.validate(usesOutput: true) }
            Confinement.begin(isWanted: host.isConfined)
            let watch = try ProcessWatch(timeout: limits.duration)
            let outputs = try RunOutputs(statistics, reports, profile, pin: processors.pin, inputs: inputs)
            let outlets = try LiveOutlets(live, metrics, apartFrom: inputs + outputs.paths)
            var options = MachineOptions(
                processors: processors, cpuid: cpuid, statistics: statistics, reports: reports, profile: profile,
                live: live, host: host)
            try AddressSpace.check(
                vcpuCount: processors.count, traceEvents: reports.trace == nil ? 0 : reports.traceEvents)
            test.apply(to: &options)
            let entrance = try debugger.open(for: &options)
            let shares = try devices.openShares()
            let consoleSize = try devices.apply(
                to: &options, sharing: shares, tags: devices.shares.map { $0.name ?? "" })
            if host.isConfined {
                Confinement.keepFromWriting(
                    outputs: outputs.all, kvmDevice: host.kvmDevice, folders: entrance.folders + outlets.folders,
                    shares: shares)
                options.confinement = Confinement(
                    isFlat: true, outputs: outputs.all, debugger: entrance, metrics: outlets.metrics,
                    devices: devices)
            }
            let isWatched = LiveStatus.isWanted(by: statistics) && !live.hasScreen
            if isWatched { LiveStatus.apply(to: &options) }
            let machine = try guest.makeMachine(kvmDevice: host.kvmDevice, options: options)
            if host.isConfined {
                Confinement.keepFromEverythingElse(
                    outputs: outputs.all, folders: entrance.folders + outlets.folders, shares: shares,
                    readsScheduling: options.recording.readsScheduling)
            }
            watch.startRun(onResize: { consoleSize?.update(from: STDOUT_FILENO) }) {
                machine.control.stop(.signal($0))
            }
            let line = isWatched ? try LiveStatus(machine) : nil
            let view = try LiveRun(
                live, machine, title: guest.shortName, symbols: outputs.profiles.symbols, outlets)
            let outcome: RunOutcome
            do {
                defer {
                    line?.end()
                    view.end()
                }
                outcome = try entrance.serve(machine) {
                    try machine.run(
                        timeout: watch.timeLeft, input: live.hasScreen ? nil : StandardInput.source(for: machine))
                }
            }
            watch.endRun()
            try outputs.write(outcome, leaves: options.leaves, machine: machine, guest: guest.displayName)
            try view.finish()
            return try test.exitStyle.status(after: outcome.ending, machine.exitStatus(after: outcome.ending))
        }
    }
}
