import Host
import MiniVMM
import Report
import Watch

/// What monitoring systems are given of a run, or of a watch, at work.
struct MetricsRun {
    /// What the counters say as text.
    final class Source: Sendable {
        private let sample: @Sendable (_ isRunning: Bool) -> MetricsSample
        private let guest: String
        private let labels: [MetricsLabel]
        /// The numbers of exits that were told last.
        private let last = Locked<[MetricsSample.Exits.Key: UInt64]>([:])

        /// - Parameter sample: Reads the counters, on any thread.
        init(
            guest: String, labels: [MetricsLabel], sample: @escaping @Sendable (_ isRunning: Bool) -> MetricsSample
        ) {
            self.sample = sample
            self.guest = guest
            self.labels = labels
        }

        /// What they say now.
        func text(_ format: MetricsFormat, isRunning: Bool = true) -> String {
            var sample = sample(isRunning)
            if isRunning {
                last.withLock { last in
                    sample.keepRising(after: last)
                    last = sample.counts
                }
            }
            return MetricsText.text(sample, guest: guest, labels: labels, format: format)
        }
    }

    private let source: Source
    private var file: MetricsFile?
    private var pulse: RunPulse?
    private var server: MetricsServer?

    /// Starts to write, or to serve.
    ///
    /// - Parameters:
    ///   - outlet: Where the metrics go.
    ///   - source: What they are.
    /// - Throws: `ResourceError` when the system refuses a thread or a descriptor.
    init(_ outlet: MetricsOutlet, of source: Source) throws {
        self.source = source
        switch outlet {
        case .file(let file, let interval):
            self.file = file
            file.write(source.text(.prometheus))
            pulse = try RunPulse(name: "metrics", every: interval) { _ in file.write(source.text(.prometheus)) }
        case .socket(let listener):
            server = try MetricsServer(listener) { source.text($0) }
            let place = ForeignText.visible(listener.place)
            let isPath = if case .path = listener.address { true } else { false }
            StandardError.write("minivmm: metrics are at \(isPath ? "unix:\(place)" : "http://\(place)/metrics")\n")
        }
    }

    /// Ends both, after the file's last state.
    func end() {
        pulse?.end()
        server?.end()
        file?.write(source.text(.prometheus, isRunning: false))
    }

    /// Says what could not be written.
    func finish() throws { try file?.finish() }
}

extension MetricsRun.Source {
    /// The counters of a machine of this process, from now on.
    convenience init(_ machine: Machine, guest: String, labels: [MetricsLabel]) {
        let start = ContinuousClock.now
        self.init(guest: guest, labels: labels) { isRunning in
            let counters = machine.countersOfEachVCPU
            return MetricsSample(
                elapsed: start.duration(to: .now), isRunning: isRunning, vcpus: counters.vcpus,
                times: { machine.serviceTimes(of: $0, vcpu: $1) }, kernelSettled: counters.kernelSettled,
                tscKHz: machine.tscKHz)
        }
    }

    /// The counters of another process that is watched.
    convenience init(_ watch: ExitWatch, title: String, labels: [MetricsLabel]) {
        self.init(guest: title, labels: labels) { isRunning in
            let look = watch.look()
            return MetricsSample(
                elapsed: look.elapsed, isRunning: isRunning, watched: look.exits, lostExits: look.lostExits)
        }
    }
}
