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
    }

    func encode(to encoder: any Encoder) throws {
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
    }
}
