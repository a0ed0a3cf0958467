import ArgumentParser
import Counters
import Host
import MiniVMM
import Report
import Symbols

/// The options of what is shown and written while a run goes on.
struct LiveOptions: ParsableArguments {
    @Flag(help: "Show the exits as they come on a screen of their own, on standard error.")
    var live = false

    @Option(
        help: ArgumentHelp("Write what came in every so many seconds, a line of JSON each.", valueName: "seconds"))
    var interval: Double?

    @Option(help: ArgumentHelp("Where these lines go, a file or /dev/fd/N.", valueName: "file"))
    var intervalFile: String?

    /// What they ask for.
    var configuration: LiveConfiguration {
        LiveConfiguration(hasScreen: live, interval: interval, file: intervalFile)
    }
}

/// What is shown and written while a run goes on.
struct LiveConfiguration: Hashable, Sendable {
    /// Whether there is a full-screen view.
    var hasScreen = false
    /// The time between two lines of JSON, in seconds.
    var interval: Double?
    /// The path of the file that these go to.
    var file: String?

    /// The shortest interval, in seconds.
    static let shortestInterval = 0.01

    /// Checks an interval.
    ///
    /// - Parameter option: The option that it is given by.
    static func validate(interval: Double?, of option: String = "--interval") throws {
        let longest = LimitConfiguration.longestTimeout
        if let interval, !(interval >= shortestInterval && interval < longest) {
            throw ValidationError(
                "\(option) takes a number of seconds from \(shortestInterval) to \(Int(longest)).")
        }
    }

    /// Lets the machine keep what the screen shows.
    func apply(to options: inout MachineOptions) {
        if hasScreen { options.recording.placeCapacity = ExitPlaces.defaultCapacity }
    }

    /// Checks that the options go together.
    func validate() throws {
        try Self.validate(interval: interval)
        guard (interval == nil) == (file == nil) else {
            throw ValidationError("--interval and --interval-file are given together: standard output is the guest's.")
        }
    }
}

/// Where goes what is written while a run goes on. Open before the run, and before the process is confined.
struct LiveOutlets {
    /// The file of the lines of JSON.
    fileprivate let lines: OutputFile?
    /// Where metrics go.
    let metrics: MetricsOutlet?
    fileprivate let labels: [MetricsLabel]

    /// Opens them.
    ///
    /// - Parameter others: The files that the run reads and writes besides: none of them may be one of these.
    init(_ live: LiveConfiguration, _ metrics: MetricsConfiguration, apartFrom others: [String]) throws {
        try FilePlan.check(inputs: others, outputs: live.file.elements + metrics.path.elements)
        lines = try live.file.map { try OutputFile(following: $0) }
        self.metrics = try metrics.open()
        labels = metrics.labels
    }

    /// The directories in which files are put at their places, or removed after the run.
    var folders: [Int32] { metrics?.folders ?? [] }
}

/// What is shown and written while a run goes on, at work.
struct LiveRun {
    private var screen: LiveScreen?
    private var lines: IntervalLines?
    private var pulses: [RunPulse] = []
    private let machine: Machine
    private var monitored: MetricsRun?
    private let start = ContinuousClock.now

    /// Starts to show and to write.
    ///
    /// - Parameters:
    ///   - title: The guest's name.
    ///   - symbols: What names the guest's functions.
    ///   - outlets: Where goes what is written.
    init(
        _ configuration: LiveConfiguration, _ machine: Machine, title: String, symbols: [SymbolTable],
        _ outlets: LiveOutlets
    ) throws {
        self.machine = machine
        if configuration.hasScreen {
            let screen = try LiveScreen(title: title, keepsPlaces: true) { machine.control.stop(.stopped) }
            self.screen = screen
            pulses.append(
                try RunPulse(name: "live screen", every: LiveScreen.interval) { elapsed in
                    screen.update(at: elapsed) { withPlaces in
                        Self.sample(machine, elapsed, places: withPlaces ? Self.places(machine, symbols) : nil)
                    }
                })
        }
        if let file = outlets.lines, let interval = configuration.interval {
            let lines = IntervalLines(file)
            self.lines = lines
            pulses.append(
                try RunPulse(name: "intervals", every: .seconds(interval)) { elapsed in
                    lines.write(Self.sample(machine, elapsed))
                })
        }
        monitored = try outlets.metrics.map {
            try MetricsRun($0, of: MetricsRun.Source(machine, guest: title, labels: outlets.labels))
        }
    }

    private static func sample(_ machine: Machine, _ elapsed: Duration, places: ExitPlaces? = nil) -> LiveSample {
        let counters = machine.countersOfEachVCPU
        return LiveSample(
            elapsed: elapsed, vcpus: counters.vcpus, kernelSettled: counters.kernelSettled, tscKHz: machine.tscKHz,
            places: places)
    }

    /// The places so far. Where a kernel has moved itself to can be read from a vCPU only when it has stopped, so that
    /// its functions have names where they are linked.
    private static func places(_ machine: Machine, _ symbols: [SymbolTable]) -> ExitPlaces? {
        var places = machine.placesSoFar
        places?.name { place in place.address.flatMap { ProfileFiles.function(at: $0, in: symbols) } }
        return places
    }

    /// Ends all of it, after the last line, of what is left.
    func end() {
        for pulse in pulses { pulse.end() }
        screen?.end()
        lines?.write(Self.sample(machine, start.duration(to: .now)))
        monitored?.end()
    }

    /// Says what could not be written.
    func finish() throws {
        try lines?.finish()
        try monitored?.finish()
    }
}
