/// The sums over all kinds, in the JSON format.
struct TotalRecord: Encodable {
    private let statistics: VCPUStatistics

    init(_ statistics: VCPUStatistics) {
        self.statistics = statistics
    }

    private enum CodingKeys: String, CodingKey {
        case exits
        case serviceCycles = "service_cycles"
        case runCycles = "run_cycles"
        case internalExits = "internal_exits"
        case internalCycles = "internal_cycles"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(statistics.exits, forKey: .exits)
        try container.encode(statistics.serviceCycles, forKey: .serviceCycles)
        try container.encode(statistics.runCycles, forKey: .runCycles)
        try container.encode(statistics.internalExits, forKey: .internalExits)
        try container.encode(statistics.internalCycles, forKey: .internalCycles)
    }
}
