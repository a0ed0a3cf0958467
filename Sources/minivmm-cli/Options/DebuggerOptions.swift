public import ArgumentParser
public import Host

/// The options that let a debugger in.
struct DebuggerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Let GDB debug the guest: its `target remote` at this TCP port of the loopback address, or at unix:PATH.",
            valueName: "port"))
    var gdb: LocalAddress?

    @Flag(help: "Wait for GDB before the guest's first instruction.")
    var gdbWait = false

    /// What they ask for.
    var configuration: DebuggerConfiguration { DebuggerConfiguration(address: gdb, waits: gdbWait) }

    func validate() throws {
        try configuration.validate()
    }
}

extension LocalAddress: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
