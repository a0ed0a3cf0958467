/// How a run ended, in the JSON format.
struct OutcomeRecord: Encodable {
    private let ending: RunEnding

    init(_ ending: RunEnding) {
        self.ending = ending
    }

    private enum CodingKeys: String, CodingKey {
        case kind
        case summary
        case exitStatus = "exit_status"
        case death
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(ending.name, forKey: .kind)
        try container.encode(ending.summary, forKey: .summary)
        try container.encode(ending.exitStatus.rawValue, forKey: .exitStatus)
        if case .died(let death) = ending { try container.encode(DeathRecord(death), forKey: .death) }
    }
}
