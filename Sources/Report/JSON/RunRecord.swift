public import Counters
import FoundationEssentials
import Host

/// A run as the JSON object that `--stats json` writes. `Schemas/run.schema.json` describes it.
///
/// Cycles are those of the host's time-stamp counter. Keys that may be null are always present; `counter_leaves` is
/// present when the guest asked some, `devices` when the machine has virtio devices.
public struct RunRecord: Encodable, Sendable {
    private let outcome: RunOutcome
    private let leaves: CounterLeaves
    private let exitStatus: Int32
    private let context: RunContext?
    private let remedies: AdviceRemedies

    /// The version of the format: raised when something is renamed or removed, not when something is added.
    public static let schemaVersion = 1

    /// The record of a run.
    ///
    /// - Parameters:
    ///   - outcome: The run.
    ///   - leaves: The layout of the counter leaves that the run had.
    ///   - exitStatus: The exit status of the command.
    ///   - context: Who asked for what, when and where, if that is to be told.
    ///   - remedies: What to do about what the rules find.
    public init(
        _ outcome: RunOutcome, leaves: CounterLeaves, exitStatus: Int32, context: RunContext? = nil,
        remedies: AdviceRemedies = .none
    ) {
        self.remedies = remedies
        self.outcome = outcome
        self.leaves = leaves
        self.exitStatus = exitStatus
        self.context = context
    }

    /// The record as one JSON object on several lines, with sorted keys and a newline at the end.
    public func json() throws -> [UInt8] { try JSONText.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case schema
        case version
        case outcome
        case durationNanoseconds = "duration_ns"
        case tscKHz = "tsc_khz"
        case leaves
        case trap = "cpuid_trap"
        case total
        case kinds
        case vcpus
        case unclaimedPorts = "unclaimed_ports"
        case unclaimedPages = "unclaimed_pages"
        case kernelStatistics = "kernel_statistics"
        case scope = "exits_scope"
        case kernelSettled = "kernel_settled"
        case context
        case timeSeries = "time_series"
        case distributions
        case places
        case counterLeaves = "counter_leaves"
        case devices
        case advice
        case scheduling
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let total = outcome.statistics.total
        try container.encode(Self.schemaVersion, forKey: .schema)
        try container.encode(ReportMaker.version, forKey: .version)
        try container.encode(OutcomeRecord(outcome.ending, exitStatus: exitStatus), forKey: .outcome)
        try container.encode(outcome.duration.inNanoseconds, forKey: .durationNanoseconds)
        try container.encode(outcome.tscKHz, forKey: .tscKHz)
        try container.encode(leaves.rawValue, forKey: .leaves)
        try container.encode(outcome.trap.rawValue, forKey: .trap)
        try container.encode(TotalRecord(total), forKey: .total)
        try container.encode(total.kinds.map(KindRecord.init), forKey: .kinds)
        try container.encode(outcome.statistics.vcpus.map(VCPURecord.init), forKey: .vcpus)
        try container.encode(outcome.unclaimedPorts.map(UnclaimedRecord.init), forKey: .unclaimedPorts)
        try container.encode(outcome.unclaimedPages.map(UnclaimedRecord.init), forKey: .unclaimedPages)
        let kernel = outcome.kernelStatistics.enumerated().map { KernelRecord(vcpu: $0.offset, $0.element) }
        try container.encode(kernel.isEmpty ? nil : kernel, forKey: .kernelStatistics)
        try container.encode(outcome.scope.rawValue, forKey: .scope)
        try container.encode(outcome.kernelSettled.map(KernelSettledRecord.init), forKey: .kernelSettled)
        try container.encode(context.map(ContextRecord.init), forKey: .context)
        try container.encode(outcome.timeline.map(TimeSeriesRecord.init), forKey: .timeSeries)
        let distributions = outcome.timeline.map { _ in outcome.distributions.map(DistributionRecord.init) }
        try container.encode(distributions, forKey: .distributions)
        try container.encodeIfPresent(outcome.places.map(PlacesRecord.init), forKey: .places)
        try container.encodeIfPresent(outcome.counterLeaves.map(CounterLeafRecord.init), forKey: .counterLeaves)
        let devices = outcome.devices.map(DeviceRecord.init)
        try container.encodeIfPresent(devices.isEmpty ? nil : devices, forKey: .devices)
        let advice = AdviceRules(outcome).advice.map { AdviceRecord($0, remedy: remedies($0)) }
        try container.encode(advice, forKey: .advice)
        try container.encode(outcome.scheduling.map(SchedulingRecord.init), forKey: .scheduling)
    }
}

/// What the guest asked the counter leaves, in the JSON format.
struct CounterLeafRecord: Encodable {
    private struct Leaf: Encodable {
        let leaf: UInt32
        let count: UInt64
        let minimumECX: UInt32
        let maximumECX: UInt32

        enum CodingKeys: String, CodingKey {
            case leaf
            case count
            case minimumECX = "min_ecx"
            case maximumECX = "max_ecx"
        }
    }

    private let exitTypes: String
    private let asked: [Leaf]
    private let likelierLayouts: [String]

    init(_ use: CounterLeafUse) {
        exitTypes = use.numbering.rawValue
        asked = use.asked.map {
            Leaf(leaf: $0.leaf, count: $0.count, minimumECX: $0.minimumECX, maximumECX: $0.maximumECX)
        }
        likelierLayouts = use.likelierLayouts.map(\.rawValue)
    }

    private enum CodingKeys: String, CodingKey {
        case exitTypes = "exit_types"
        case asked
        case likelierLayouts = "likelier_layouts"
    }
}

/// Who asked for what, when and where, in the JSON format.
struct ContextRecord: Encodable {
    private let context: RunContext

    init(_ context: RunContext) {
        self.context = context
    }

    private enum CodingKeys: String, CodingKey {
        case command
        case startedAt = "started_at"
        case guest
        case memoryBytes = "memory_bytes"
        case vcpuCount = "vcpu_count"
        case processor
        case kernel
        case modules
        case invariantTSC = "tsc_invariant"
        case host
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(context.command, forKey: .command)
        try container.encode(context.startedAt, forKey: .startedAt)
        try container.encode(context.guest, forKey: .guest)
        try container.encode(context.machine.memorySize, forKey: .memoryBytes)
        try container.encode(context.machine.vcpuCount, forKey: .vcpuCount)
        try container.encode(context.host.processor, forKey: .processor)
        try container.encode(context.host.kernelRelease, forKey: .kernel)
        try container.encode(context.host.modules, forKey: .modules)
        try container.encode(context.host.hasInvariantTSC, forKey: .invariantTSC)
        try container.encode(context.conditions.map(HostConditionsRecord.init), forKey: .host)
    }
}

/// How a run ended, in the JSON format.
struct OutcomeRecord: Encodable {
    private let ending: RunEnding
    private let exitStatus: Int32

    init(_ ending: RunEnding, exitStatus: Int32) {
        self.ending = ending
        self.exitStatus = exitStatus
    }

    private enum CodingKeys: String, CodingKey {
        case kind
        case summary
        case exitStatus = "exit_status"
        case death
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(ending.name, forKey: .kind)
        try container.encode(ending.summary, forKey: .summary)
        try container.encode(exitStatus, forKey: .exitStatus)
        var record: DeathRecord?
        if case .died(let death) = ending { record = DeathRecord(death) }
        try container.encode(record, forKey: .death)
    }
}

/// How a guest died, in the JSON format.
struct DeathRecord: Encodable {
    package let cause: String
    package let vcpu: Int
    package let mode: String?
    package let registers: [String: String]?
    package let code: String?

    init(_ death: GuestDeath) {
        cause = death.cause.name
        vcpu = death.vcpu
        mode = death.state?.mode.rawValue
        // In hexadecimal, because not every JSON reader keeps 64 bits.
        registers = death.state.map { state in
            Dictionary(
                (state.general + state.control).map { ($0.name, Hex.number($0.value)) },
                uniquingKeysWith: { first, _ in first })
        }
        code = death.state.map { Hex.bytes($0.code) }
    }

    private enum CodingKeys: String, CodingKey {
        case cause
        case vcpu
        case mode
        case registers
        case code
    }

    // Written out because the compiler's own version leaves out what is nil.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(cause, forKey: .cause)
        try container.encode(vcpu, forKey: .vcpu)
        try container.encode(mode, forKey: .mode)
        try container.encode(registers, forKey: .registers)
        try container.encode(code, forKey: .code)
    }
}

/// How MiniVMM writes JSON.
package enum JSONText {
    /// A value as JSON on several lines, with sorted keys and a newline at the end.
    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try Array(encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    /// A value as JSON on one line, with sorted keys and a newline at the end.
    package static func line(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try Array(encoder.encode(value)) + [UInt8(ascii: "\n")]
    }
}
