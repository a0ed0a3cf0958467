import ArgumentParser
import Glibc
import MiniVMM

/// What `minivmm run` is asked for, and the doing of it.
struct RunRequest {
    var guest = GuestOptions.defaults
    var processors = ProcessorOptions.defaults
    var cpuid = CPUIDOptions.defaults
    var statistics = StatisticsOptions.defaults
    var reports = ReportOptions.defaults
    var host = HostOptions.defaults
    var limits = RunLimits.defaults

    /// What ArgumentParser does for the groups of a command.
    mutating func validate() throws {
        try guest.validate()
        try processors.validate()
        try cpuid.validate()
        try statistics.validate()
        try reports.validate()
        try host.validate()
        try limits.validate()
    }

    func run() throws {
        // A reader of standard output that has gone ends the run with its statistics, not the process without them.
        signal(SIGPIPE, SIG_IGN)
        try Diagnostics.report {
            let signals = try SignalWatcher()
            let sink = try statistics.openSink()
            let files = try reports.openFiles()
            var options = MachineOptions(
                processors: processors, cpuid: cpuid, statistics: statistics, reports: reports, host: host)
            let isWatched = LiveStatus.isWanted(by: statistics)
            if isWatched { LiveStatus.apply(to: &options) }
            let machine = try guest.makeMachine(kvmDevice: host.kvmDevice, options: options)
            signals.watch { machine.control.stop(.signal($0)) }
            let live = isWatched ? try LiveStatus(machine) : nil
            let outcome: RunOutcome
            do {
                defer { live?.end() }
                outcome = try machine.run(timeout: limits.duration, input: StandardInput.source(for: machine))
            }
            RunAnnouncement.announce(outcome)
            try sink.write(statistics.text(outcome, leaves: options.leaves, style: sink.textStyle))
            try files.write(outcome, leaves: options.leaves, machine: machine, guest: guest.displayName)
            return outcome.ending.exitStatus
        }
    }
}
