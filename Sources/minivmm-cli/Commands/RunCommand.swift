import ArgumentParser
import Counters
import Devices
import Glibc
import MiniVMM

/// `minivmm run`: boots a guest, and says afterwards what its exits cost.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a guest.",
        discussion: """
            The guest's console is standard input and output; statistics and messages go to standard error. While \
            Linux runs on a terminal, every key goes to the guest, Ctrl-C included, but for these:

            \(EscapeKeys.help)

            The exit status is the guest's own: 0 when it halts, what it writes to port 0xf4 when it does. \
            1: the guest died. 64: wrong arguments. 65: the image is not acceptable. 66: it cannot be read. \
            69: no usable KVM. 70: a fault of MiniVMM. 71: the system refused memory or threads. 74: the console or a \
            file could not be written. 124: --timeout. 130, 143: SIGINT, SIGTERM.
            """
    )

    @OptionGroup(title: "Guest") var guest: GuestOptions
    @OptionGroup var session: SessionOptions
    @OptionGroup(title: "Devices") var console: ConsoleOptions
    @OptionGroup(title: "Tests") var test: TestOptions

    /// What the options ask for.
    var configuration: RunConfiguration {
        var session = session.configuration
        session.devices.console = console.console
        return RunConfiguration(guest: guest.configuration, test: test.configuration, session: session)
    }

    func validate() throws {
        try configuration.validate()
    }

    func run() throws {
        try configuration.run()
    }
}

extension RunConfiguration {
    /// Does what is asked for, and ends the command with its status.
    func run() throws {
        // A reader of standard output that has gone ends the run with its statistics, not the process without them.
        signal(SIGPIPE, SIG_IGN)
        // Likewise a file that may grow no more.
        signal(SIGXFSZ, SIG_IGN)
        try Diagnostics.report {
            let inputs = guest.inputs + session.devices.disks.map(\.path)
            if let status = try session.repeated(inputs: inputs) { return status }
            var run = try RunSession(session, inputs: inputs)
            test.apply(to: &run.options)
            let consoleSize = try run.openDevices(tags: session.devices.shares.map { $0.name ?? "" })
            run.confine(isFlat: true)
            let isWatched = LiveStatus.isWanted(by: session.statistics) && !session.live.hasScreen
            if isWatched { LiveStatus.apply(to: &run.options) }
            let machine = try guest.makeMachine(kvmDevice: session.host.kvmDevice, options: run.options)
            let outcome = try run.run(
                machine, title: guest.shortName, input: StandardInput.source(for: machine), hasLine: isWatched,
                onResize: { consoleSize?.update(from: STDOUT_FILENO) })
            try run.outputs.write(
                outcome, leaves: run.options.leaves, machine: machine, guest: guest.displayName)
            try run.finish()
            return try test.exitStyle.status(after: outcome.ending, machine.exitStatus(after: outcome.ending))
        }
    }
}
