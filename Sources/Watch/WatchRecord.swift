import Counters
import Host
import Report
import Tracepoints

/// A watch as the JSON object of its report. `Schemas/watch.schema.json` describes it. Times are in nanoseconds.
package struct WatchRecord: Encodable {
    /// The version of the format: raised when something is renamed or removed, not when something is added.
    package static let schemaVersion = 1

    private let outcome: WatchOutcome

    package init(_ outcome: WatchOutcome) {
        self.outcome = outcome
    }

    /// The record as one JSON object on several lines, with sorted keys and a newline at the end.
    package func json() throws -> [UInt8] { try JSONText.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case schema, process, name, machines, ending, method, extent = "extension", total, reasons, vcpus
        case duration = "duration_ns"
        case lost = "lost_exits"
        case check
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let exits = outcome.look.exits
        try container.encode(Self.schemaVersion, forKey: .schema)
        try container.encode(outcome.process, forKey: .process)
        try container.encode(outcome.name, forKey: .name)
        try container.encode(outcome.machineCount, forKey: .machines)
        try container.encode(outcome.ending.name, forKey: .ending)
        try container.encode(outcome.method.rawValue, forKey: .method)
        try container.encode(exits.isSVM ? "svm" : "vmx", forKey: .extent)
        try container.encode(outcome.look.elapsed.inNanoseconds, forKey: .duration)
        try container.encode(WatchTotalRecord(exits.rows), forKey: .total)
        try container.encode(WatchReasonRecord.all(exits.rows, isSVM: exits.isSVM), forKey: .reasons)
        let vcpus = outcome.shownVCPUs.map { number in
            VCPU(vcpu: number, reasons: WatchReasonRecord.all(exits.rows(ofVCPU: number), isSVM: exits.isSVM))
        }
        try container.encode(vcpus, forKey: .vcpus)
        try container.encode(outcome.look.lostExits, forKey: .lost)
        try container.encode(outcome.check.map(Check.init), forKey: .check)
    }

    /// One vCPU.
    private struct VCPU: Encodable {
        let vcpu: Int
        let reasons: [WatchReasonRecord]
    }

    /// KVM's own count.
    private struct Check: Encodable {
        let kernel: UInt64
        let least: UInt64
        let most: UInt64

        init(_ check: KernelCheck) {
            kernel = check.kernel
            (least, most) = (check.tracepoints.lowerBound, check.tracepoints.upperBound)
        }

        private enum CodingKeys: String, CodingKey {
            case kernel = "kvm_exits"
            case least = "tracepoints_min"
            case most = "tracepoints_max"
        }
    }
}

/// What came between two moments of a watch, as one line of JSON.
package struct WatchIntervalRecord: Encodable {
    private let interval: WatchInterval

    package init(_ interval: WatchInterval) {
        self.interval = interval
    }

    /// The record as one line, with sorted keys and a newline at the end.
    package func line() throws -> [UInt8] { try JSONText.line(self) }

    private enum CodingKeys: String, CodingKey {
        case elapsed = "elapsed_ns"
        case length = "interval_ns"
        case total, reasons
        case lost = "lost_exits"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let exits = interval.exits
        try container.encode(interval.elapsed.inNanoseconds, forKey: .elapsed)
        try container.encode(interval.length.inNanoseconds, forKey: .length)
        try container.encode(WatchTotalRecord(exits.rows), forKey: .total)
        // A maximum is that of all exits so far, and so are percentiles beyond it.
        try container.encode(
            WatchReasonRecord.all(exits.rows, isSVM: exits.isSVM, hasDistribution: false), forKey: .reasons)
        try container.encode(interval.lostExits, forKey: .lost)
    }
}

/// Sums over all reasons.
struct WatchTotalRecord: Encodable {
    private let rows: [KernelSettledExits.Row]

    init(_ rows: [KernelSettledExits.Row]) {
        self.rows = rows
    }

    private enum CodingKeys: String, CodingKey {
        case exits = "processor_exits"
        case settled = "settled_exits"
        case passedOn = "passed_on_exits"
        case nanoseconds = "ns"
        case passedOnNanoseconds = "passed_on_ns"
        case userNanoseconds = "user_ns"
        case haltedNanoseconds = "halted_ns"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        func sum(_ value: (KernelSettledExits.Row) -> UInt64) -> UInt64 { rows.reduce(0) { $0 &+ value($1) } }
        try container.encode(sum(\.hardwareExits), forKey: .exits)
        try container.encode(sum(\.exits), forKey: .settled)
        try container.encode(sum(\.passedOnExits), forKey: .passedOn)
        try container.encode(sum(\.nanoseconds), forKey: .nanoseconds)
        try container.encode(sum(\.passedOnNanoseconds), forKey: .passedOnNanoseconds)
        try container.encode(sum(\.userNanoseconds), forKey: .userNanoseconds)
        try container.encode(sum(\.haltedNanoseconds), forKey: .haltedNanoseconds)
    }
}

/// The exits for one of the processor's reasons.
struct WatchReasonRecord: Encodable {
    private let row: KernelSettledExits.Row
    private let isSVM: Bool
    /// Whether it says how long the exits took that KVM settled, one by one.
    private let hasDistribution: Bool

    static func all(
        _ rows: [KernelSettledExits.Row], isSVM: Bool, hasDistribution: Bool = true
    ) -> [WatchReasonRecord] {
        rows.map { WatchReasonRecord(row: $0, isSVM: isSVM, hasDistribution: hasDistribution) }
    }

    private enum CodingKeys: String, CodingKey {
        case settled = "settled_exits"
        case passedOn = "passed_on_exits"
        case userNanoseconds = "user_ns"
    }

    func encode(to encoder: any Encoder) throws {
        try ReasonFields(row, isSVM: isSVM, hasDistribution: hasDistribution).encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(row.exits, forKey: .settled)
        try container.encode(row.passedOnExits, forKey: .passedOn)
        try container.encode(row.userNanoseconds, forKey: .userNanoseconds)
    }
}
