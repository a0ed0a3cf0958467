import ArgumentParser
import Counters
import Host
import KVM
import Logging

/// The options that say how the guest's CPUID is answered.
struct CPUIDOptions: ParsableArguments {
    @Option(help: "The layout of the counter leaves.")
    var leaves = CPUIDConfiguration().leaves

    @Option(help: "Whose numbers a guest asks for exit types by: Intel's SDM, or the exit codes of AMD's SVM.")
    var exitTypes = CPUIDConfiguration().exitTypes

    @Option(
        help: ArgumentHelp(
            "Which exits are counted: those that reach MiniVMM (user), KVM's own total besides, or all by reason.",
            discussion: "auto is all where KVM's tracepoints can be used, else user."))
    var exits: ExitScope?

    @Flag(help: .hidden)
    var kernelExits = false

    @Option(help: "How CPUID instructions are brought out to MiniVMM.")
    var cpuidTrap = CPUIDConfiguration().trap

    @Option(
        name: .customLong("cpuid-site"),
        help: ArgumentHelp("The address of a CPUID instruction, in place of a scan; repeatable.", valueName: "address"))
    var sites: [AddressArgument] = []

    /// What they ask for.
    var configuration: CPUIDConfiguration {
        CPUIDConfiguration(
            leaves: leaves, exitTypes: exitTypes, exits: exits ?? (kernelExits ? .total : nil), trap: cpuidTrap,
            sites: sites.map(\.value))
    }
}

/// The options that concern the host.
struct HostOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The KVM device.", valueName: "path"))
    var kvmDevice = HostConfiguration().kvmDevice

    @Option(help: "How much MiniVMM says of its own doings.")
    var logLevel = HostConfiguration().logLevel

    @Flag(help: "Run a Linux guest even where `minivmm doctor` says that Linux cannot boot.")
    var force = false

    @Flag(help: "Do not confine the process to the files, system calls and privileges that the run needs.")
    var noSandbox = false

    /// What they ask for.
    var configuration: HostConfiguration {
        HostConfiguration(kvmDevice: kvmDevice, logLevel: logLevel, force: force, isConfined: !noSandbox)
    }
}

/// The options of the guest's processors.
struct ProcessorOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How many vCPUs the guest has.", valueName: "number"))
    var cpus = ProcessorConfiguration().count

    @Option(
        help: ArgumentHelp(
            "Keep the vCPUs on these CPUs of the host, as in 0,2-3: the first on the first, and so on.",
            valueName: "cpulist"))
    var pin: CPUList?

    /// What they ask for.
    var configuration: ProcessorConfiguration {
        ProcessorConfiguration(count: cpus, pin: pin)
    }
}

/// The options that say how often a run is made.
struct RepeatOptions: ParsableArguments {
    @Option(
        name: .customLong("repeat"),
        help: ArgumentHelp(
            "Make so many runs, each in a process of its own, and show medians and spread.", valueName: "number"))
    var count: Int?

    @Option(help: ArgumentHelp("Make so many runs before them that are not counted.", valueName: "number"))
    var warmup = RepeatConfiguration().warmup

    /// What they ask for.
    var configuration: RepeatConfiguration {
        RepeatConfiguration(count: count, warmup: warmup)
    }
}

/// The option that says how long a run may take.
struct RunLimits: ParsableArguments {
    @Option(
        help: ArgumentHelp("End the run after this many seconds; fractions are allowed.", valueName: "seconds"))
    var timeout: Double?

    /// What it asks for.
    var configuration: LimitConfiguration {
        LimitConfiguration(timeout: timeout)
    }

    func validate() throws {
        try configuration.validate()
    }
}
