/// Whether Linux guests boot, in the JSON format.
struct LinuxSupportRecord: Encodable {
    private let support: LinuxSupport

    init(_ support: LinuxSupport) {
        self.support = support
    }

    private enum CodingKeys: String, CodingKey {
        case boot
        case obstacle
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(support.isComplete, forKey: .boot)
        // Null where there is none, as everywhere in the format.
        try container.encode(support.obstacle, forKey: .obstacle)
    }
}
