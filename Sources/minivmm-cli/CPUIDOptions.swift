import ArgumentParser
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
