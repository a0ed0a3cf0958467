import ArgumentParser
import Logging
import MiniVMM

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
