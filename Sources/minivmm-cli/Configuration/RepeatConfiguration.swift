import ArgumentParser
import Glibc
import Host
import MiniVMM
import Report

/// How often a run is made.
struct RepeatConfiguration: Hashable, Sendable {
    /// How many runs are counted; nil for one, as it is without.
    var count: Int?
    /// How many are made before them.
    var warmup = 0

    /// The most runs of one command.
    private static let maximumCount = 10_000

    /// Checks the numbers, and that all else can be repeated.
    func validate(_ session: SessionConfiguration, file: String?) throws {
        guard (0...Self.maximumCount).contains(warmup) else {
            throw ValidationError("--warmup takes a number from 0 to \(Self.maximumCount).")
        }
        guard let count else {
            if warmup > 0 { throw ValidationError("--warmup needs --repeat.") }
            return
        }
        guard (1...Self.maximumCount).contains(count) else {
            throw ValidationError("--repeat takes a number from 1 to \(Self.maximumCount).")
        }
        let isJSON = session.reports.files.allSatisfy { ReportForm(path: $0) == .json }
        guard isJSON else { throw ValidationError("With --repeat, --report takes a file whose name ends in .json.") }
        for (name, isGiven) in [
            ("--trace", session.reports.trace != nil), ("--profile", session.profile.file != nil),
            ("--gdb", session.debugger.address != nil), ("--live", session.live.hasScreen),
            ("--interval", session.live.interval != nil), ("--metrics", session.metrics.target != nil),
            ("a guest from standard input", file == GuestConfiguration.standardInput),
        ] where isGiven {
            throw ValidationError("\(name) is for one run, and not for --repeat.")
        }
    }
}

/// Makes the runs of a command that is repeated, each in a process of its own, one after the other.
///
/// A process confines itself before its guest runs, and cannot open /dev/kvm again. So each run is a process that this one
/// starts, as a shell would: it has the confinement of any run, and begins as cold as any. This process never has to do with
/// a guest; of a run's process it takes the report, by a pipe, and believes nothing of it but what its reader accepts.
final class RepeatedRuns: Sendable {
    private struct State {
        var child: pid_t?
        var signal: Int32?
    }

    private let configuration: RepeatConfiguration
    private let state = Locked(State())

    init(_ configuration: RepeatConfiguration) {
        self.configuration = configuration
    }

    /// What one run has come to.
    private struct OneRun {
        let record: [UInt8]
        let status: ExitStatus
    }

    /// Makes all runs, and writes what they came to.
    ///
    /// - Parameter inputs: The files that a run reads.
    /// - Returns: The first status that was not 0, or 0.
    func run(
        _ statistics: StatisticsConfiguration, _ reports: ReportConfiguration, inputs: [String]
    ) throws -> ExitStatus {
        let count = configuration.count ?? 1
        try FilePlan.check(inputs: inputs, outputs: statistics.file.elements + reports.outputs)
        let watch = try ProcessWatch()
        let sink = try statistics.openSink()
        let files = try reports.files.map { try OutputFile(creating: $0) }
        watch.startRun { [self] in forward($0) }
        var records: [[UInt8]] = []
        var status = ExitStatus.success
        let isWatched = LiveStatus.isWanted(by: statistics)
        for number in 0..<(configuration.warmup + count) {
            if isWatched { LiveStatus.line.show(progress(number, of: count)) }
            let run = try oneRun(isWatched: isWatched)
            if status == .success { status = run.status }
            // Without a report there is nothing to be told, and the next run would fail in the same way.
            if run.record.isEmpty || state.withLock({ $0.signal }) != nil { break }
            if number >= configuration.warmup { records.append(run.record) }
        }
        watch.endRun()
        LiveStatus.line.end()
        if let signal = state.withLock({ $0.signal }) { status = .signal(signal) }
        guard !records.isEmpty else { return status }
        try write(records, statistics, sink, files)
        return status
    }

    private func write(
        _ records: [[UInt8]], _ statistics: StatisticsConfiguration, _ sink: OutputFile, _ files: [OutputFile]
    ) throws {
        let repetition: Repetition
        do {
            repetition = try Repetition(records: records, warmupCount: configuration.warmup)
        } catch {
            throw InputError.notARecord(path: "What a run wrote", error)
        }
        var attempts = OutputAttempts()
        for file in files {
            attempts.attempt {
                try file.write(repetition.json())
                try file.finish()
            }
        }
        attempts.attempt {
            switch statistics.form {
            case .table:
                if statistics.file == nil { try sink.write([UInt8(ascii: "\n")]) }
                try sink.write(Array(repetition.text(sink.textStyle).utf8))
            case .json: try sink.write(repetition.json())
            case .none: break
            }
            try sink.finish()
        }
        try attempts.finish()
    }

    private func progress(_ number: Int, of count: Int) -> String {
        number < configuration.warmup
            ? "warm-up run \(number + 1) of \(configuration.warmup)"
            : "run \(number - configuration.warmup + 1) of \(count)"
    }

    /// Passes a signal on to the run that goes on. No other is made.
    private func forward(_ signal: Int32) {
        let child = state.withLock { state in
            state.signal = signal
            return state.child
        }
        if let child { kill(child, signal) }
    }

    /// The descriptor by which a run's process hands over its report.
    private static let recordDescriptor: Int32 = 3

    /// Makes one run.
    ///
    /// - Parameter isWatched: Whether what it says has to make way for the line about the runs.
    private func oneRun(isWatched: Bool) throws -> OneRun {
        let words = CommandWords.forOneRun(RawArguments.all, recordTo: "/dev/fd/\(Self.recordDescriptor)")
        let child = try ChildRun(words, record: Self.recordDescriptor, takesMessages: isWatched)
        let isLate = state.withLock { state in
            state.child = child.process
            return state.signal != nil
        }
        if isLate { kill(child.process, SIGTERM) }
        let record = try child.readAll { bytes in
            // As it is: what has to be spelled out has been, and the rest is a program's own.
            LiveStatus.line.makeWay(forTextEndingIn: bytes.last) { try? OutputFile.standardError.write(bytes) }
        }
        // Its number is its own until it is waited for.
        state.withLock { $0.child = nil }
        return OneRun(record: record, status: try child.waitForEnd())
    }
}
