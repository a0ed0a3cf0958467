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
        var record: DeathRecord?
        if case .died(let death) = ending { record = DeathRecord(death) }
        try container.encode(record, forKey: .death)
    }
}
