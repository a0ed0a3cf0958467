import Host

/// The text formats that metrics are exposed in.
package enum MetricsFormat: CaseIterable, Sendable {
    /// Prometheus's text format 0.0.4, which node_exporter's textfile collector takes as well.
    case prometheus
    /// OpenMetrics 1.0.
    case openMetrics

    /// The media type, as HTTP has it.
    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}

/// A label that every number has.
package struct MetricsLabel: Hashable, Sendable {
    package let name: String
    package let value: String

    /// The names that the metrics have labels of themselves by.
    private static let taken: Set<String> = ["kind", "sdm", "vcpu", "where", "le", "version", "guest", "exits"]

    /// - Returns: nil when no label may have the name, or one has it already.
    package init?(name: String, value: String) {
        func isLetter(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        guard let first = name.utf8.first, isLetter(first), !name.hasPrefix("__"), !Self.taken.contains(name),
            name.utf8.allSatisfy({ isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        self.name = name
        self.value = value
    }
}

/// Metrics as text.
///
/// Source: Prometheus, "Exposition formats"; OpenMetrics 1.0.
package struct MetricsText {
    /// What a metric is.
    private enum Kind: String {
        case counter, gauge, histogram, info
    }

    private let format: MetricsFormat
    private let labels: [(String, String)]
    private var text = ""

    /// The metrics of a sample.
    ///
    /// - Parameters:
    ///   - guest: The guest's name.
    ///   - labels: What every number has.
    /// - Returns: The text, which ends with a newline.
    package static func text(
        _ sample: MetricsSample, guest: String, labels: [MetricsLabel] = [], format: MetricsFormat
    ) -> String {
        var writer = MetricsText(format: format, labels: labels.map { ($0.name, $0.value) })
        writer.addRun(sample, guest: guest)
        writer.addExits(sample)
        writer.addVCPUs(sample)
        if format == .openMetrics { writer.text += "# EOF\n" }
        return writer.text
    }

    private init(format: MetricsFormat, labels: [(String, String)]) {
        self.format = format
        self.labels = labels
    }

    private mutating func addRun(_ sample: MetricsSample, guest: String) {
        let info = begin(.info, "minivmm", "MiniVMM, its guest, and which exits are counted: user or all.")
        add(
            info,
            [
                ("version", ReportMaker.version), ("guest", ForeignText.visible(guest)),
                ("exits", sample.countsKernel ? "all" : "user"),
            ], "1")
        let running = begin(
            .gauge, "minivmm_running", "Whether the guest runs, or is watched: 0 in what is written afterwards.")
        add(running, [], sample.isRunning ? "1" : "0")
        let elapsed = begin(
            .gauge, "minivmm_elapsed_seconds", unit: "seconds", "Time since the start of the run, or of the watch.")
        add(elapsed, [], "\(sample.elapsed)")
    }

    private mutating func addExits(_ sample: MetricsSample) {
        let exits = begin(
            .counter, "minivmm_exits", "VM exits by kind or reason, its number in the Intel SDM, and who settled them.")
        for row in sample.exits { add(exits, Self.labels(row.key), String(row.count)) }
        let family = "minivmm_exit_duration_seconds"
        _ = begin(
            .histogram, family, unit: "seconds",
            "What the finished exits took: the service time of MiniVMM's, KVM's own time for the kernel's.")
        for row in sample.exits {
            var sum: UInt64 = 0
            // Where only the sum is known, one bucket holds all.
            let bounds = row.buckets == nil ? [] : MetricsSample.bounds.map { "\(Self.seconds(Double($0)))" }
            for (bound, count) in zip(bounds + ["+Inf"], row.buckets ?? [row.count]) {
                sum &+= count
                add(family + "_bucket", Self.labels(row.key) + [("le", bound)], String(sum))
            }
            add(family + "_sum", Self.labels(row.key), "\(Self.seconds(row.nanoseconds))")
            add(family + "_count", Self.labels(row.key), String(sum))
        }
    }

    private mutating func addVCPUs(_ sample: MetricsSample) {
        func add(_ name: String, _ values: [String]) {
            for (vcpu, value) in values.enumerated() { self.add(name, [("vcpu", String(vcpu))], value) }
        }
        if !sample.vcpus.isEmpty {
            let run = begin(
                .counter, "minivmm_kvm_run_seconds", unit: "seconds",
                "Time in KVM_RUN up to the latest exit: the guest's and the kernel's.")
            add(run, sample.vcpus.map { "\(Self.seconds($0.runNanoseconds))" })
            let internalExits = begin(
                .counter, "minivmm_internal_exits",
                "VM exits that MiniVMM caused itself, which are in no other number.")
            add(internalExits, sample.vcpus.map { String($0.internalExits) })
            let internalTime = begin(
                .counter, "minivmm_internal_seconds", unit: "seconds",
                "What those took, and what MiniVMM took for its own records.")
            add(internalTime, sample.vcpus.map { "\(Self.seconds($0.internalNanoseconds))" })
        }
        if let halted = sample.haltedNanoseconds {
            let name = begin(
                .counter, "minivmm_kernel_halted_seconds", unit: "seconds",
                "What vCPUs slept in exits that KVM settled.")
            add(name, halted.map { "\(Self.seconds(Double($0)))" })
        }
        if let lost = sample.lostExits {
            let name = begin(
                .counter, "minivmm_lost_exits", "VM exits that are in no other number, of vCPUs without a place.")
            self.add(name, [], String(lost))
        }
    }

    private static func seconds(_ nanoseconds: Double) -> Double { nanoseconds / 1e9 }

    private static func labels(_ key: MetricsSample.Exits.Key) -> [(String, String)] {
        [
            ("kind", key.kind), ("sdm", key.sdm.map(String.init) ?? ""), ("vcpu", String(key.vcpu)),
            ("where", key.settler.rawValue),
        ]
    }

    /// Says what a metric is.
    ///
    /// - Parameter name: Without what its kind adds to it.
    /// - Returns: The name of its numbers.
    private mutating func begin(_ kind: Kind, _ name: String, unit: String? = nil, _ help: String) -> String {
        let sample =
            switch kind {
            case .counter: name + "_total"
            case .info: name + "_info"
            case .gauge, .histogram: name
            }
        // OpenMetrics names the family, Prometheus what it sees, and there an info is a gauge.
        let isOpen = format == .openMetrics
        let family = isOpen ? name : sample
        text += "# HELP \(family) \(help)\n"
        text += "# TYPE \(family) \(isOpen || kind != .info ? kind.rawValue : Kind.gauge.rawValue)\n"
        if isOpen, let unit { text += "# UNIT \(family) \(unit)\n" }
        return sample
    }

    private mutating func add(_ name: String, _ labels: [(String, String)], _ value: String) {
        let all = (labels + self.labels).map { "\($0.0)=\"\(Self.escaped($0.1))\"" }
        text += name + (all.isEmpty ? "" : "{\(all.joined(separator: ","))}") + " \(value)\n"
    }

    /// A label's value as it stands between quotes.
    private static func escaped(_ value: String) -> String {
        value.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\"": text += "\\\""
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
