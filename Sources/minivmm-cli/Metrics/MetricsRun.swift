import Host
import MiniVMM
import Report

/// What monitoring systems are given of a run, at work.
struct MetricsRun {
    /// What the counters say as text.
    final class Source: Sendable {
        private let machine: Machine
        private let guest: String
        private let labels: [MetricsLabel]
        private let start = ContinuousClock.now
        /// The numbers of exits that were told last.
        private let last = Locked<[MetricsSample.Exits.Key: UInt64]>([:])

        init(_ machine: Machine, guest: String, labels: [MetricsLabel]) {
            self.machine = machine
            self.guest = guest
            self.labels = labels
        }

        /// What they say now.
        func text(_ format: MetricsFormat, isRunning: Bool = true) -> String {
            let counters = machine.countersOfEachVCPU
            var sample = MetricsSample(
                elapsed: start.duration(to: .now), isRunning: isRunning, vcpus: counters.vcpus,
                times: { machine.serviceTimes(of: $0, vcpu: $1) }, kernelSettled: counters.kernelSettled,
                tscKHz: machine.tscKHz)
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
    ///   - guest: The guest's name.
    ///   - labels: What every number is labelled with.
    /// - Throws: `ResourceError` when the system refuses a thread or a descriptor.
    init(_ outlet: MetricsOutlet, _ machine: Machine, guest: String, labels: [MetricsLabel]) throws {
        let source = Source(machine, guest: guest, labels: labels)
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
