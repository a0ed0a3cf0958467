import Host

/// What the rules find, below the table.
extension TextReport {
    /// How many findings are shown: the first ones say most.
    static let maximumAdviceCount = 3
    /// The findings, each followed by what to do about it. No line where nothing was found.
    package var adviceLines: [String] {
        let found = AdviceRules(outcome).advice.prefix(Self.maximumAdviceCount)
        return found.flatMap { advice in
            TextLines.wrapped(advice.sentence, first: "* ", rest: "  ")
                + (remedies(advice).map { TextLines.wrapped($0, first: "  ", rest: "  ") } ?? [])
        }
    }
}

/// What a rule found, in the JSON format.
struct AdviceRecord: Encodable {
    private let advice: Advice
    private let remedy: String?

    init(_ advice: Advice, remedy: String?) {
        self.advice = advice
        self.remedy = remedy
    }

    private enum CodingKeys: String, CodingKey {
        case rule
        case sentence
        case remedy
        case count
        case share
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(advice.name, forKey: .rule)
        try container.encode(advice.sentence, forKey: .sentence)
        try container.encode(remedy, forKey: .remedy)
        try container.encode(advice.count, forKey: .count)
        try container.encode(advice.share, forKey: .share)
    }
}
