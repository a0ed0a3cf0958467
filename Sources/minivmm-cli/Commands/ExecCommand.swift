import ArgumentParser
import Boot
import Counters
import Devices
import Exec
import Glibc
import KVM
import Logging
import MiniVMM

/// `minivmm exec`: runs one Linux program in a guest of its own.
struct ExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Run one Linux program in a guest of its own.",
        discussion: """
            The program finds itself in a Linux guest with the kernel given, with all files that it needs to start, and \
            in a directory of the same name as here. Standard input, output and error are the program's, and the exit \
            status is its own: 128 plus the signal's number if a signal killed it.

            124: --timeout. 126, 127: the program cannot be executed, or is not there. The others are those of \
            `minivmm run`.
            """
    )

    @OptionGroup(title: "Guest") var guest: ExecOptions
    @OptionGroup(title: "Devices") var devices: DeviceOptions
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

    func validate() throws {
        try reports.configuration.validate(exits: cpuid.exits ?? .auto)
        try repetition.configuration.validate(
            reports.configuration, profile.configuration, debugger.configuration, live.configuration,
            metrics.configuration)
        try live.configuration.validate()
    }

    func run() throws {
        // A reader of standard output that has gone is for the program to notice, as it would without a guest.
        signal(SIGPIPE, SIG_IGN)
        // Likewise a file that may grow no more.
        signal(SIGXFSZ, SIG_IGN)
        let (statistics, reports, host) = (statistics.configuration, reports.configuration, host.configuration)
        try Diagnostics.report {
            let (repetition, devices) = (repetition.configuration, devices.configuration)
            let inputs = [guest.kernel] + devices.disks.map(\.path)
            if repetition.count != nil {
                return try RepeatedRuns(repetition).run(statistics, reports, inputs: inputs)
            }
            let live = live.configuration
            if live.hasScreen { try LiveScreen.validate(usesOutput: true) }
            Confinement.begin(isWanted: host.isConfined)
            let watch = try ProcessWatch(timeout: limits.configuration.duration)
            var outputs = try RunOutputs(
                statistics, reports, profile.configuration, pin: processors.pin, inputs: inputs)
            let outlets = try LiveOutlets(live, metrics.configuration, apartFrom: inputs + outputs.paths)
            var options = MachineOptions(
                processors: processors.configuration, cpuid: cpuid.configuration, statistics: statistics,
                reports: reports, profile: profile.configuration, live: live, host: host)
            options.exits = cpuid.exits ?? .auto
            let log = try guest.openKernelLog()
            try AddressSpace.check(
                vcpuCount: options.cpuCount, traceEvents: reports.trace == nil ? 0 : reports.traceEvents)
            let entrance = try debugger.configuration.open(for: &options)
            let shares = try devices.openShares()
            _ = try devices.apply(to: &options, sharing: shares, tags: devices.shareTags)
            if host.isConfined {
                Confinement.keepFromWriting(
                    outputs: outputs.all, kvmDevice: host.kvmDevice, folders: entrance.folders + outlets.folders,
                    shares: shares)
                options.confinement = Confinement(
                    isFlat: false, outputs: outputs.all, debugger: entrance, metrics: outlets.metrics,
                    devices: devices)
            }
            options.consoleDescriptor = log.descriptor
            let symbols = options.recording.placeCapacity.map { _ in ProgramSymbols() }
            options.components.append(ProgramChannel(symbols: symbols))
            let (image, codeFiles) = try makeGuest(host, sendsSymbols: symbols != nil)
            let kvm = try KVM(path: host.kvmDevice)
            if host.force { Diagnostics.announceForcedLinux(kvm) }
            let machine = try Machine(kvm: kvm, guest: image, options: options)
            if host.isConfined {
                Confinement.keepFromEverythingElse(
                    outputs: outputs.all, folders: entrance.folders + outlets.folders, shares: shares,
                    readsScheduling: options.recording.readsScheduling)
            }
            watch.startRun { machine.control.stop(.signal($0)) }
            let view = try LiveRun(
                live, machine, title: guest.programName, symbols: outputs.profiles.symbols, outlets)
            let outcome: RunOutcome
            do {
                defer { view.end() }
                outcome = try entrance.serve(machine) {
                    try machine.run(timeout: watch.timeLeft, input: live.hasScreen ? nil : .stream(STDIN_FILENO))
                }
            }
            watch.endRun()
            if let symbols { outputs.profiles.add(symbols, files: codeFiles) }
            try outputs.write(
                outcome, leaves: options.leaves, machine: machine, guest: guest.displayName, program: guest.programName)
            try view.finish()
            if Self.saysNothingOfProgram(outcome.ending) { throw ExecError.noStatus }
            return try machine.exitStatus(after: outcome.ending)
        }
    }

    /// Makes the guest. Where there is no kernel, one would not help if Linux cannot boot: that is said first.
    private func makeGuest(
        _ host: HostConfiguration, sendsSymbols: Bool
    ) throws -> (guest: LinuxGuest, files: [String: [UInt8]]) {
        do {
            return try guest.makeGuest(sendsSymbols: sendsSymbols, devices: devices.configuration)
        } catch ExecError.noKernel(let directory) {
            if !host.force { try KVM(path: host.kvmDevice).requireLinuxSupport() }
            throw ExecError.noKernel(directory: directory)
        }
    }

    /// Whether the guest ended in a way that would be well for another guest, and leaves open what its program did.
    private static func saysNothingOfProgram(_ ending: RunEnding) -> Bool {
        switch ending {
        case .halted, .exitPort, .poweredOff, .reset, .panicked: true
        case .programExited, .programKilled, .died, .timeout, .signal, .stopped, .failed: false
        }
    }
}
