/// The exits of one kind, in the JSON format.
struct KindRecord: Encodable {
    private let statistics: KindStatistics

    init(_ statistics: KindStatistics) {
        self.statistics = statistics
    }

    private enum CodingKeys: String, CodingKey {
        case kind
        case sdm
        case exits
        case serviceCycles = "service_cycles"
        case p50
        case p99
        case max
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(statistics.kind.name, forKey: .kind)
        try container.encode(statistics.kind.basicExitReason?.rawValue, forKey: .sdm)
        try container.encode(statistics.exits, forKey: .exits)
        try container.encode(statistics.serviceCycles, forKey: .serviceCycles)
        try container.encode(statistics.p50, forKey: .p50)
        try container.encode(statistics.p99, forKey: .p99)
        try container.encode(statistics.max, forKey: .max)
    }
}
