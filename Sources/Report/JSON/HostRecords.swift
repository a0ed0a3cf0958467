import Counters
import Host

/// What makes exits cheaper or dearer on a host, in the JSON format.
struct HostConditionsRecord: Encodable {
    private let conditions: HostConditions

    init(_ conditions: HostConditions) {
        self.conditions = conditions
    }

    private enum CodingKeys: String, CodingKey {
        case microcode, mitigations, parameters, hypervisor, governors, boost, smt
        case commandLine = "kernel_command_line"
        case hugePages = "transparent_hugepages"
        case pinnedCPUs = "pinned_cpus"
    }

    // Written out because the compiler's own version leaves out what is nil.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(conditions.microcode, forKey: .microcode)
        try container.encode(Self.object(conditions.mitigations), forKey: .mitigations)
        try container.encode(Self.object(conditions.parameters), forKey: .parameters)
        try container.encode(conditions.hypervisor, forKey: .hypervisor)
        try container.encode(conditions.commandLine, forKey: .commandLine)
        try container.encode(conditions.governors, forKey: .governors)
        try container.encode(conditions.boost, forKey: .boost)
        try container.encode(conditions.simultaneousMultithreading, forKey: .smt)
        try container.encode(conditions.transparentHugePages, forKey: .hugePages)
        try container.encode(conditions.pinnedCPUs, forKey: .pinnedCPUs)
    }

    private static func object(_ settings: [HostConditions.Setting]) -> [String: String] {
        Dictionary(settings.map { ($0.name, $0.value) }) { first, _ in first }
    }
}

/// How the vCPUs' threads came to run, in the JSON format.
struct SchedulingRecord: Encodable {
    private let scheduling: RunScheduling

    init(_ scheduling: RunScheduling) {
        self.scheduling = scheduling
    }

    private struct VCPU: Encodable {
        let vcpu: Int
        let runNanoseconds: UInt64
        let delayNanoseconds: UInt64
        let timeSlices: UInt64

        private enum CodingKeys: String, CodingKey {
            case vcpu
            case runNanoseconds = "run_ns"
            case delayNanoseconds = "run_delay_ns"
            case timeSlices = "time_slices"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case vcpus
        case stolenNanoseconds = "stolen_ns"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let vcpus = scheduling.vcpus.enumerated().compactMap { index, thread in
            thread.map {
                VCPU(
                    vcpu: index, runNanoseconds: $0.runNanoseconds, delayNanoseconds: $0.delayNanoseconds,
                    timeSlices: $0.timeSlices)
            }
        }
        try container.encode(vcpus, forKey: .vcpus)
        try container.encode(scheduling.stolenNanoseconds, forKey: .stolenNanoseconds)
    }
}
