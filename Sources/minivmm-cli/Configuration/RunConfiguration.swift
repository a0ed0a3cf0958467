import ArgumentParser
import Boot
import Counters
import Devices
import Host
import KVM
import Logging
import Memory
import MiniVMM

/// What `run` is asked for. This is the one place that has the defaults: the options of the command line are described
/// elsewhere, and fill it in.
struct RunConfiguration: Hashable, Sendable {
    /// Which guest to run.
    var guest = GuestConfiguration()
    /// What a test program is given.
    var test = TestConfiguration()
    /// How it is run.
    var session = SessionConfiguration()

    /// Checks what can be checked before anything is done.
    ///
    /// - Throws: `ValidationError`.
    func validate() throws {
        try guest.validate()
        try session.validate(exits: .user, file: guest.file)
        try session.devices.validateTags()
    }
}

/// What every command that runs a guest is asked for, whatever the guest is.
struct SessionConfiguration: Hashable, Sendable {
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
    /// How often it is made.
    var repetition = RepeatConfiguration()
    /// What is shown and written while it goes on.
    var live = LiveConfiguration()
    /// What monitoring systems are given.
    var metrics = MetricsConfiguration()

    /// Checks what can be checked before anything is done.
    ///
    /// - Parameters:
    ///   - exits: Which exits the command counts unless told otherwise.
    ///   - file: The guest's file, where that may be standard input.
    /// - Throws: `ValidationError`.
    func validate(exits: ExitScope, file: String? = nil) throws {
        try statistics.validate()
        try reports.validate()
        try reports.validate(exits: cpuid.exits ?? exits)
        try limits.validate()
        try debugger.validate()
        try repetition.validate(self, file: file)
        try live.validate()
        try metrics.validate()
        try devices.validate()
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
    init(_ session: SessionConfiguration) {
        self.init()
        cpuCount = session.processors.count
        pinnedCPUs = session.processors.pin
        leaves = session.cpuid.leaves
        exitTypes = session.cpuid.exitTypes
        exits = session.cpuid.exits ?? .user
        trap = session.cpuid.trap
        if !session.cpuid.sites.isEmpty { cpuidSites = session.cpuid.sites }
        session.statistics.apply(to: &self)
        session.reports.apply(to: &self)
        session.profile.apply(to: &self)
        session.live.apply(to: &self)
        logger = session.host.makeLogger()
        triesUnsupportedGuests = session.host.force
    }
}
