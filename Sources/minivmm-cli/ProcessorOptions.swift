import ArgumentParser
import MiniVMM

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
