/// One vCPU, in the JSON format: its totals, and its kinds.
struct VCPURecord: Encodable {
    private let statistics: VCPUStatistics

    init(_ statistics: VCPUStatistics) {
        self.statistics = statistics
    }

    private enum CodingKeys: String, CodingKey {
        case vcpu
        case total
        case kinds
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(statistics.vcpu, forKey: .vcpu)
        try container.encode(TotalRecord(statistics), forKey: .total)
        try container.encode(statistics.kinds.map(KindRecord.init), forKey: .kinds)
    }
}
