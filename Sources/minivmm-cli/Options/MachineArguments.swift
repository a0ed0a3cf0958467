import ArgumentParser
import Counters
import Host
import KVM
import Logging
import MiniVMM

/// How the guest's CPUID is answered.
struct CPUIDOptions: ParsableArguments {
    @Option(help: "The layout of the counter leaves.")
    var leaves = CounterLeaves.f22

    @Flag(help: "Answer the total-exits leaf with KVM's own count, which includes exits that KVM settles alone.")
    var kernelExits = false

    @Option(help: "How CPUID instructions are brought out to MiniVMM.")
    var cpuidTrap = CPUIDTrap.auto

    @Option(
        name: .customLong("cpuid-site"),
        help: ArgumentHelp("The address of a CPUID instruction, in place of a scan; repeatable.", valueName: "address"))
    var sites: [AddressArgument] = []

    /// Nothing given.
    static var defaults: CPUIDOptions {
        var options = CPUIDOptions()
        (options.leaves, options.kernelExits, options.cpuidTrap, options.sites) = (.f22, false, .auto, [])
        return options
    }

    func apply(to options: inout MachineOptions) {
        options.leaves = leaves
        options.reportsKernelExits = kernelExits
        options.trap = cpuidTrap
        if !sites.isEmpty { options.cpuidSites = sites.map(\.value) }
    }
}

/// What concerns the host.
struct HostOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The KVM device.", valueName: "path"))
    var kvmDevice = KVM.defaultDevicePath

    @Option(help: "How much MiniVMM says of its own doings.")
    var logLevel = Logger.Level.warning

    /// Nothing given.
    static var defaults: HostOptions {
        var options = HostOptions()
        (options.kvmDevice, options.logLevel) = (KVM.defaultDevicePath, .warning)
        return options
    }

    /// The logger of this process, which writes to standard error.
    func makeLogger() -> Logger {
        var logger = Logger(label: "minivmm") { StreamLogHandler(label: $0, stream: StandardError.Stream()) }
        logger.logLevel = logLevel
        return logger
    }
}

/// The guest's processors.
struct ProcessorOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How many vCPUs the guest has.", valueName: "number"))
    var cpus = 1

    @Option(
        help: ArgumentHelp(
            "Keep the vCPUs on these CPUs of the host, as in 0,2-3: the first on the first, and so on.",
            valueName: "cpulist"))
    var pin: CPUList?

    /// Nothing given.
    static var defaults: ProcessorOptions {
        var options = ProcessorOptions()
        (options.cpus, options.pin) = (1, nil)
        return options
    }

    func apply(to options: inout MachineOptions) {
        options.cpuCount = cpus
        options.pinnedCPUs = pin
    }
}

/// How long a run may take.
struct RunLimits: ParsableArguments {
    @Option(
        help: ArgumentHelp("End the run after this many seconds; fractions are allowed.", valueName: "seconds"))
    var timeout: Double?

    /// Nothing given.
    static var defaults: RunLimits {
        var options = RunLimits()
        options.timeout = nil
        return options
    }

    /// The timeout as a time.
    var duration: Duration? { timeout.map { .seconds($0) } }

    func validate() throws {
        if let timeout, !(timeout > 0 && timeout < Self.longestTimeout) {
            throw ValidationError("--timeout takes a number of seconds above 0 and below \(Int(Self.longestTimeout)).")
        }
    }

    /// About thirty years, so that no clock overflows.
    private static let longestTimeout = 1e9
}

extension MachineOptions {
    /// What the options that all commands with a machine have ask for.
    init(
        processors: ProcessorOptions, cpuid: CPUIDOptions, statistics: StatisticsOptions, reports: ReportOptions,
        host: HostOptions
    ) {
        self.init()
        processors.apply(to: &self)
        cpuid.apply(to: &self)
        statistics.apply(to: &self)
        reports.apply(to: &self)
        logger = host.makeLogger()
    }
}
