import Devices
import Glibc
import MiniVMM

/// A run as `run` and `exec` make it: files and devices are opened first, then the process confines itself, then the machine
/// is made and runs, and what came of it is written.
struct RunSession {
    /// What the machine is made with.
    var options: MachineOptions
    /// Where goes what the run came to.
    var outputs: RunOutputs

    private let configuration: SessionConfiguration
    private let watch: ProcessWatch
    private let outlets: LiveOutlets
    private let entrance: DebuggerEntrance?
    private var shares: [SharedFolder] = []
    /// What is shown and written while it goes on, once it has begun.
    private var view: LiveRun?

    /// Opens all files but those of devices. The time limit has begun.
    ///
    /// - Parameter inputs: The files that the run reads: none of them may be an output.
    init(_ configuration: SessionConfiguration, inputs: [String]) throws {
        self.configuration = configuration
        if configuration.live.hasScreen { try LiveScreen.validate(usesOutput: true) }
        Confinement.begin(isWanted: configuration.host.isConfined)
        watch = try ProcessWatch(timeout: configuration.limits.duration)
        let reports = configuration.reports
        outputs = try RunOutputs(
            configuration.statistics, reports, configuration.profile, pin: configuration.processors.pin,
            inputs: inputs)
        outlets = try LiveOutlets(configuration.live, configuration.metrics, apartFrom: inputs + outputs.paths)
        options = MachineOptions(configuration)
        try AddressSpace.check(
            vcpuCount: options.cpuCount, traceEvents: reports.trace == nil ? 0 : reports.traceEvents)
        entrance = try configuration.debugger.open(for: &options)
    }

    /// Opens what the devices are about, and adds them to the options.
    ///
    /// - Parameter tags: Those of the folders that are shared.
    /// - Returns: The size of the console's terminal, where that is of interest.
    mutating func openDevices(tags: [String]) throws -> ConsoleSize? {
        shares = try configuration.devices.openShares()
        return try configuration.devices.apply(to: &options, sharing: shares, tags: tags)
    }

    /// Keeps the process from writing anywhere else, and readies what it is kept from once the machine is made.
    mutating func confine(isFlat: Bool) {
        guard configuration.host.isConfined else { return }
        Confinement.keepFromWriting(
            outputs: outputs.all, kvmDevice: configuration.host.kvmDevice, folders: folders, shares: shares)
        options.confinement = Confinement(
            isFlat: isFlat, outputs: outputs.all, debugger: entrance, metrics: outlets.metrics,
            devices: configuration.devices)
    }

    /// Runs a machine to its end.
    ///
    /// - Parameters:
    ///   - title: What the guest is called while it runs.
    ///   - input: What the guest reads, unless there is a screen, which has the keys.
    ///   - hasLine: Whether a line on standard error says how it goes.
    ///   - onResize: Is told that the terminal has another size.
    mutating func run(
        _ machine: Machine, title: String, input: @autoclosure () throws -> ConsoleSource, hasLine: Bool = false,
        onResize: (@Sendable () -> Void)? = nil
    ) throws -> RunOutcome {
        if configuration.host.isConfined {
            Confinement.keepFromEverythingElse(
                outputs: outputs.all, folders: folders, shares: shares,
                readsScheduling: options.recording.readsScheduling)
        }
        watch.startRun(onResize: onResize) { machine.control.stop(.signal($0)) }
        let line = hasLine ? try LiveStatus(machine) : nil
        let view = try LiveRun(
            configuration.live, machine, title: title, symbols: outputs.profiles.symbols, outlets)
        self.view = view
        defer { watch.endRun() }
        defer {
            line?.end()
            view.end()
        }
        return try entrance.serve(machine) {
            try machine.run(timeout: watch.timeLeft, input: configuration.live.hasScreen ? nil : input())
        }
    }

    /// Says what could not be written while the machine ran.
    func finish() throws { try view?.finish() }

    /// The directories in which files are put at their places, or removed after the run.
    private var folders: [Int32] { entrance.folders + outlets.folders }
}

extension SessionConfiguration {
    /// Makes the runs where several are wanted.
    ///
    /// - Returns: The command's status; nil where one run is wanted, which is not made here.
    func repeated(inputs: [String]) throws -> ExitStatus? {
        guard repetition.count != nil else { return nil }
        return try RepeatedRuns(repetition).run(statistics, reports, inputs: inputs)
    }
}
