/// What this host offers, as the JSON object that `minivmm doctor --json` prints.
public struct DoctorRecord: Encodable, Sendable {
    private let diagnosis: HostDiagnosis

    /// The version of the format: raised when something is renamed or removed, not when something is added.
    public static let schemaVersion = 1

    /// The record of a diagnosis.
    public init(_ diagnosis: HostDiagnosis) {
        self.diagnosis = diagnosis
    }

    /// The record as one JSON object on several lines, with sorted keys and a newline at the end.
    public func json() throws -> [UInt8] { try JSONText.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case schema
        case usable
        case device
        case apiVersion = "api_version"
        case modules
        case kernel
        case processor
        case tscKHz = "tsc_khz"
        case invariantTSC = "tsc_invariant"
        case capabilities
        case traps = "cpuid_traps"
        case linux = "linux_guests"
        case problems
        case hints
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.schemaVersion, forKey: .schema)
        try container.encode(diagnosis.isUsable, forKey: .usable)
        try container.encode(diagnosis.devicePath, forKey: .device)
        try container.encode(diagnosis.modules, forKey: .modules)
        try container.encode(diagnosis.kernelRelease, forKey: .kernel)
        try container.encode(diagnosis.processor, forKey: .processor)
        try container.encode(diagnosis.hasInvariantTSC, forKey: .invariantTSC)
        try container.encode(diagnosis.hints, forKey: .hints)
        try container.encode(
            diagnosis.problems.map { ["explanation": $0.explanation, "remedy": $0.remedy] }, forKey: .problems)
        let findings = try? diagnosis.kvm.get()
        try container.encode(findings?.apiVersion, forKey: .apiVersion)
        try container.encode(findings?.tscKHz, forKey: .tscKHz)
        try container.encode(
            findings.map { Dictionary(uniqueKeysWithValues: $0.capabilities.map { ($0.capability.name, $0.value) }) },
            forKey: .capabilities)
        let traps = try? findings?.traps.get()
        try container.encode(
            traps.map { traps in
                ["debug": traps.debug, "patch": traps.patch, "step": traps.step, "fault": findings?.faultTrap ?? false]
            }, forKey: .traps)
        try container.encode(findings?.linux.map(LinuxSupportRecord.init), forKey: .linux)
    }
}
