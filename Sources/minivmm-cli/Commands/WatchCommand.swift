import ArgumentParser
import Glibc
import Host
import KVM
import MiniVMM
import Report
import Tracepoints
import Watch

/// `minivmm watch`: every exit of a virtual machine that another program runs.
struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Count every exit of a virtual machine that another program runs.",
        discussion: """
            The process is any that has vCPUs of KVM: QEMU, Firecracker, another minivmm. It notices nothing. Exits are \
            counted by reason, with the time that they took in KVM and in the process (VMM), until --duration is over, \
            the process ends, or Ctrl-C; then comes the report, on standard error. It needs root, or CAP_BPF and \
            CAP_PERFMON, and CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH for another user's process.

            The exit status is 0 however the watch ends. 64: wrong arguments. 65: the process has no vCPUs. 66: there is \
            no such process, or it may not be looked at. 69: KVM's tracepoints cannot be used. 71: the system refused \
            memory or threads. 74: a file could not be written.
            """
    )

    @Argument(help: ArgumentHelp("The number of the process.", valueName: "pid"))
    var process: Int32

    @Option(help: ArgumentHelp("End after this many seconds; fractions are allowed.", valueName: "seconds"))
    var duration: Double?

    @Option(
        help: ArgumentHelp(
            "Write what came in every so many seconds to standard output, a line of JSON each.", valueName: "seconds"))
    var interval: Double?

    @Option(help: ArgumentHelp("Where these lines go instead, a file or /dev/fd/N.", valueName: "file"))
    var intervalFile: String?

    @Flag(help: "Show the exits as they come on a screen of their own, on standard error.")
    var live = false

    @OptionGroup(title: "While it runs") var metrics: MetricsOptions

    @OptionGroup(title: "Statistics") var statistics: StatisticsOutputOptions

    @Option(help: ArgumentHelp("The KVM device, to try the tracepoints out.", valueName: "path"))
    var kvmDevice = KVM.defaultDevicePath

    private static let longestTime = LimitConfiguration.longestTimeout

    func validate() throws {
        guard process > 0 else { throw ValidationError("PID takes the number of a process, from 1 on.") }
        if let duration, !(duration > 0 && duration < Self.longestTime) {
            throw ValidationError("--duration takes a number of seconds above 0 and below \(Int(Self.longestTime)).")
        }
        try LiveConfiguration.validate(interval: interval)
        if intervalFile != nil, interval == nil { throw ValidationError("--interval-file needs --interval.") }
        if live { try LiveScreen.validate(usesOutput: interval != nil && intervalFile == nil) }
    }

    func run() throws {
        // A reader of standard output that has gone ends the watch with its report.
        signal(SIGPIPE, SIG_IGN)
        let statistics = statistics.configuration
        try Diagnostics.report {
            let signals = try ProcessWatch()
            let sink = try statistics.openSink()
            let metrics = metrics.configuration
            try FilePlan.check(
                inputs: [], outputs: statistics.file.elements + intervalFile.elements + metrics.path.elements)
            let lines = try intervalFile.map { try OutputFile(following: $0) } ?? .standardOutput
            let outlet = try metrics.open()
            let process = try WatchedProcess(process)
            try tryTracepoints()
            let stop = try WatchStop()
            let watch = try ExitWatch(process)
            signals.startRun { stop.stop(signal: $0) }
            StandardError.write("minivmm: watching \(watch.title).\n")
            let monitored = try outlet.map {
                try MetricsRun($0, of: MetricsRun.Source(watch, title: watch.title, labels: metrics.labels))
            }
            let screen = live ? try LiveScreen(title: watch.title) { stop.stop() } : nil
            let outcome = watch.run(
                for: duration.map { .seconds($0) }, pulses: pulses(statistics, lines, screen), stop: stop)
            screen?.end()
            monitored?.end()
            signals.endRun()
            LiveStatus.line.end()
            try sink.write(statistics.text(outcome, style: sink.textStyle))
            try sink.finish()
            try monitored?.finish()
            if let error = outcome.error { throw error }
            return .success
        }
    }

    /// Finds out whether KVM's tracepoints tell of exits at all, where a machine can be made for that.
    private func tryTracepoints() throws {
        do {
            _ = try KVM(path: kvmDevice).tracepointSupport()
        } catch let error as TracepointError {
            throw WatchError.tracepoints(error)
        } catch let error as any DiagnosticError {
            StandardError.write(
                "minivmm: \(error.explanation)\nWhether KVM's tracepoints tell of every exit here was not tried.\n")
        }
    }

    /// The line on the terminal, and the lines of JSON.
    private func pulses(
        _ statistics: StatisticsConfiguration, _ lines: OutputFile, _ screen: LiveScreen?
    ) -> [WatchPulse] {
        var pulses: [WatchPulse] = []
        if let screen {
            pulses.append(
                WatchPulse(every: LiveScreen.interval, includesRest: false) { interval in
                    screen.update(at: interval.elapsed) { _ in interval.sample }
                })
        } else if LiveStatus.isWanted(by: statistics) {
            pulses.append(
                WatchPulse(every: .milliseconds(250), includesRest: false) { interval in
                    LiveStatus.line.show(WatchLine(interval).text)
                })
        }
        if let interval {
            pulses.append(
                WatchPulse(every: .seconds(interval), includesRest: true) { interval in
                    let line = try WatchIntervalRecord(interval).line()
                    var error: OutputError?
                    // They may go to the same terminal.
                    LiveStatus.line.makeWay(forTextEndingIn: line.last) {
                        do throws(OutputError) {
                            try lines.write(line)
                        } catch let other {
                            error = other
                        }
                    }
                    if let error { throw error }
                })
        }
        return pulses
    }
}

extension ExitWatch {
    /// Who is watched, such as `process 4711 (qemu-system-x86), 2 vCPUs`.
    fileprivate var title: String {
        let count = process.vcpus.count
        return "process \(process.number) (\(process.name)), \(count) vCPU\(count == 1 ? "" : "s")"
    }
}

extension StatisticsConfiguration {
    /// The report of a watch in the form that was asked for.
    fileprivate func text(_ outcome: WatchOutcome, style: TextStyle) throws -> [UInt8] {
        switch form {
        case .table: Array(WatchReport(outcome, perVCPU: perVCPU, style: style).text.utf8)
        case .json: try WatchRecord(outcome).json()
        case .none: []
        }
    }
}
