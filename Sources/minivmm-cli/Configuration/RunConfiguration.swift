import ArgumentParser
import Boot
import Counters
import Devices
import Host
import KVM
import Logging
import Memory
import MiniVMM

/// What a run is asked for. This is the one place that has the defaults: the options of the command line are described
/// elsewhere, and fill it in.
struct RunConfiguration: Hashable, Sendable {
    /// Which guest to run.
    var guest = GuestConfiguration()
    /// The guest's processors.
    var processors = ProcessorConfiguration()
    /// How the guest's CPUID is answered.
    var cpuid = CPUIDConfiguration()
    /// What is said of the run when it is over.
    var statistics = StatisticsConfiguration()
    /// The files that are written when it is over.
    var reports = ReportConfiguration()
    /// Where exits come from.
    var profile = ProfileConfiguration()
    /// What concerns the host.
    var host = HostConfiguration()
    /// How long the run may take.
    var limits = LimitConfiguration()
    /// The devices besides those of a PC.
    var devices = DeviceConfiguration()
    /// Whether a debugger may come.
    var debugger = DebuggerConfiguration()
    /// What a test program is given.
    var test = TestConfiguration()
    /// How often it is made.
    var repetition = RepeatConfiguration()
    /// What is shown and written while it goes on.
    var live = LiveConfiguration()
    /// What monitoring systems are given.
    var metrics = MetricsConfiguration()

    /// Checks what can be checked before anything is done.
    ///
    /// - Throws: `ValidationError`.
    func validate() throws {
        try guest.validate()
        try statistics.validate()
        try reports.validate()
        try reports.validate(exits: cpuid.exits ?? .user)
        try limits.validate()
        try debugger.validate()
        try repetition.validate(reports, profile, debugger, live, metrics, file: guest.file)
        try live.validate()
        try metrics.validate()
        try devices.validate()
        try devices.validateTags()
    }
}

/// The guest's processors.
struct ProcessorConfiguration: Hashable, Sendable {
    /// How many vCPUs the guest has.
    var count = 1
    /// The CPUs of the host that they are kept on.
    var pin: CPUList?
}

/// How the guest's CPUID is answered.
struct CPUIDConfiguration: Hashable, Sendable {
    /// The layout of the counter leaves.
    var leaves = CounterLeaves.f22
    /// Whose numbers exit types have in them.
    var exitTypes = ExitNumbering.sdm
    /// Which exits are counted; nil for the command's default, which for `run` is ``ExitScope/user``.
    var exits: ExitScope?
    /// How CPUID is brought out.
    var trap = CPUIDTrap.auto
    /// The addresses of CPUID instructions, in place of a scan.
    var sites: [UInt64] = []
}

/// What concerns the host.
struct HostConfiguration: Hashable, Sendable {
    /// The KVM device.
    var kvmDevice = KVM.defaultDevicePath
    /// How much is logged.
    var logLevel = Logger.Level.warning
    /// Whether Linux is tried even where the self-test says that it cannot boot.
    var force = false
    /// Whether the process is kept from what it does not need.
    var isConfined = true

    /// The logger of this process, which writes to standard error.
    func makeLogger() -> Logger {
        var logger = Logger(label: "minivmm") {
            // There is no provider, and asking the logging system for one takes a while.
            StreamLogHandler(label: $0, stream: StandardError.Stream(), metadataProvider: nil)
        }
        logger.logLevel = logLevel
        return logger
    }
}

/// How long a run may take.
struct LimitConfiguration: Hashable, Sendable {
    /// Seconds, if there is a limit.
    var timeout: Double?

    /// The timeout as a time.
    var duration: Duration? { timeout.map { .seconds($0) } }

    /// Checks the number.
    func validate() throws {
        if let timeout, !(timeout > 0 && timeout < Self.longestTimeout) {
            throw ValidationError("--timeout takes a number of seconds above 0 and below \(Int(Self.longestTimeout)).")
        }
    }

    /// The time that an option is to be less than, in seconds: about thirty years, so that no clock overflows.
    static let longestTimeout = 1e9
}

extension MachineOptions {
    /// What all commands with a machine make it with.
    init(
        processors: ProcessorConfiguration, cpuid: CPUIDConfiguration, statistics: StatisticsConfiguration,
        reports: ReportConfiguration, profile: ProfileConfiguration, live: LiveConfiguration, host: HostConfiguration
    ) {
        self.init()
        cpuCount = processors.count
        pinnedCPUs = processors.pin
        leaves = cpuid.leaves
        exitTypes = cpuid.exitTypes
        exits = cpuid.exits ?? .user
        trap = cpuid.trap
        if !cpuid.sites.isEmpty { cpuidSites = cpuid.sites }
        statistics.apply(to: &self)
        reports.apply(to: &self)
        profile.apply(to: &self)
        live.apply(to: &self)
        logger = host.makeLogger()
        triesUnsupportedGuests = host.force
    }
}
