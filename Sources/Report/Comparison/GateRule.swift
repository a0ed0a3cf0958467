import Counters
public import Host

/// A rule that the second side of a comparison breaks or keeps, such as `exits>+2%`.
///
///     RULE     = [SUBJECT "."] QUANTITY OPERATOR LIMIT
///     SUBJECT  = "total" | KIND | KIND "[" DETAIL "]"
///     QUANTITY = "exits" | "count" | "cycles" | "mean" | "run_cycles" | "kernel_cycles" | "duration_ns"
///              | "kvm_exits" | "own_steps"
///     OPERATOR = ">" | ">=" | "<" | "<=" | "!="
///     LIMIT    = ("+" | "-") NUMBER ["%"] | NUMBER
///
/// It is broken when the median of the second side stands in this relation to the limit. A limit with a sign counts from the
/// median of the first side. `exits` alone is the sum of the exact kinds.
public struct GateRule: Hashable, Sendable {
    /// The rule as it was written.
    public let text: String
    private let subject: Subject
    private let quantity: Quantity
    private let comparison: Comparison
    private let limit: Limit

    private enum Subject: Hashable, Sendable {
        case exact
        case total
        case kind(String)
        case detail(kind: String, what: String)
    }

    private enum Quantity: String, CaseIterable, Sendable {
        case exits
        case count
        case cycles
        case mean
        case runCycles = "run_cycles"
        case kernelCycles = "kernel_cycles"
        case duration = "duration_ns"
        case kernelExits = "kvm_exits"
        case ownSteps = "own_steps"

        /// Whether a kind has it as well as the total.
        var isOfKinds: Bool {
            switch self {
            case .exits, .count, .cycles, .mean: true
            case .runCycles, .kernelCycles, .duration, .kernelExits, .ownSteps: false
            }
        }
    }

    private enum Comparison: String, CaseIterable, Sendable {
        // Those of two characters first, so that they are found first.
        case notLess = ">="
        case notMore = "<="
        case different = "!="
        case more = ">"
        case less = "<"

        func holds(_ value: Double, _ limit: Double) -> Bool {
            switch self {
            case .more: value > limit
            case .notLess: value >= limit
            case .less: value < limit
            case .notMore: value <= limit
            case .different: value != limit
            }
        }
    }

    private enum Limit: Hashable, Sendable {
        case number(Double)
        case difference(Double)
        case percent(Double)

        func value(from first: Double) -> Double {
            switch self {
            case .number(let number): number
            case .difference(let number): first + number
            case .percent(let percent): first + first * percent / 100
            }
        }
    }

    /// The longest rule, in bytes.
    private static let maximumLength = 256

    /// Reads a rule.
    ///
    /// - Throws: ``GateRuleError`` for what is none.
    public init(_ text: String) throws(GateRuleError) {
        guard text.utf8.count <= Self.maximumLength, let (place, comparison) = Self.findOperator(in: text)
        else { throw .notARule(text) }
        self.text = text
        self.comparison = comparison
        guard let limit = Self.limit(text[place.upperBound...]) else { throw .notALimit(text) }
        self.limit = limit
        let measure = text[..<place.lowerBound].split(separator: " ").joined(separator: " ")
        (subject, quantity) = try Self.measure(measure, text)
    }

    /// Reads a file of rules: one a line, without empty lines and those that begin with `#`.
    ///
    /// - Throws: ``GateRuleError`` for the first line that is none.
    public static func all(in file: [UInt8]) throws(GateRuleError) -> [GateRule] {
        var rules: [GateRule] = []
        for line in file.split(separator: UInt8(ascii: "\n")) {
            let text = ForeignText.text(line).split(whereSeparator: \.isWhitespace).joined(separator: " ")
            if text.isEmpty || text.hasPrefix("#") { continue }
            rules.append(try GateRule(text))
        }
        return rules
    }

    /// The operator: the first one that is not in brackets.
    private static func findOperator(in rule: String) -> (Range<String.Index>, Comparison)? {
        var depth = 0
        for index in rule.indices {
            if rule[index] == "[" { depth += 1 }
            if rule[index] == "]" { depth -= 1 }
            guard depth == 0 else { continue }
            for comparison in Comparison.allCases where rule[index...].hasPrefix(comparison.rawValue) {
                return (index..<rule.index(index, offsetBy: comparison.rawValue.count), comparison)
            }
        }
        return nil
    }

    private static func limit(_ text: Substring) -> Limit? {
        var rest = text.filter { $0 != " " }
        let sign: Double? = rest.first == "+" ? 1 : rest.first == "-" ? -1 : nil
        if sign != nil { rest.removeFirst() }
        let isPercent = rest.last == "%"
        if isPercent { rest.removeLast() }
        let digits = rest.utf8.filter { $0 != UInt8(ascii: ".") }
        guard !digits.isEmpty, digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
            let number = Double(rest)
        else { return nil }
        if isPercent { return sign.map { .percent($0 * number) } }
        return sign.map { .difference($0 * number) } ?? .number(number)
    }

    private static func measure(_ text: String, _ rule: String) throws(GateRuleError) -> (Subject, Quantity) {
        let dot = text.lastIndex(of: ".")
        let name = dot.map { String(text[..<$0]) }
        let word = String(dot.map { text[text.index(after: $0)...] } ?? text[...])
        guard let quantity = Quantity(rawValue: word) else {
            throw .unknownQuantity(rule, word, Quantity.allCases.map(\.rawValue))
        }
        guard let name else {
            // Without a subject, what only a total has is the total's.
            return (quantity == .exits || quantity == .count ? .exact : .total, quantity)
        }
        if name == "total" { return (.total, quantity) }
        let kind = String(name.prefix { $0 != "[" })
        guard isKnown(kind) else { throw .unknownKind(rule, kind) }
        guard quantity.isOfKinds else { throw .notOfKinds(rule, word) }
        guard name.count > kind.count else { return (.kind(kind), quantity) }
        guard name.hasSuffix("]"), quantity == .exits || quantity == .count else { throw .notARule(rule) }
        return (.detail(kind: kind, what: String(name.dropFirst(kind.count + 1).dropLast())), quantity)
    }

    /// Whether exits can have the name.
    private static func isKnown(_ name: String) -> Bool {
        guard name.hasPrefix(ExitPlaces.kernelPrefix) else {
            return ExitKind.allCases.contains { $0.name == name }
        }
        let reason = name.dropFirst(ExitPlaces.kernelPrefix.count)
        return reason == "other" || reason.hasPrefix("SVM 0x") || reason.hasPrefix("VMX ")
            || (0...BasicExitReason.maximum).contains {
                BasicExitReason(rawValue: $0).map { $0.name == reason } ?? false
            }
    }
}

extension GateRule {
    /// What became of a rule.
    package struct Verdict: Sendable {
        package let rule: GateRule
        /// The medians of both sides; nil where a run does not have the number.
        package let first: Double?
        package let second: Double?
        /// What the second was held against.
        package let limit: Double?

        /// Whether the rule is broken. One that cannot be judged is: a gate does not open because nobody looked.
        package let isBroken: Bool

        /// What happened, in a line.
        package var sentence: String {
            guard let first, let second else {
                return "\(rule.text): cannot be judged, because not all runs have this number."
            }
            func number(_ value: Double) -> String {
                value == value.rounded() && abs(value) < 1e15
                    ? String(Int64(value)) : HumanNumber.fixed(value, digits: 2)
            }
            let word = isBroken ? "broken" : "kept"
            return "\(rule.text): \(word), A \(number(first)), B \(number(second)) "
                + "(\(ComparisonReport.change(first, second)))."
        }
    }

    /// Holds the second side against the first.
    package func judge(_ first: RunGroup, _ second: RunGroup) -> Verdict {
        guard let one = first.spread(ofAll: value)?.median, let other = second.spread(ofAll: value)?.median else {
            return Verdict(rule: self, first: nil, second: nil, limit: nil, isBroken: true)
        }
        let limit = limit.value(from: one)
        return Verdict(
            rule: self, first: one, second: other, limit: limit, isBroken: comparison.holds(other, limit))
    }

    private func value(_ run: RecordedStatistics) -> Double? {
        switch subject {
        case .exact: Double(run.exactExits)
        case .total: total(run)
        case .kind(let name): kind(name, run)
        case .detail(let kind, let what): detail(kind, what, run)
        }
    }

    private func total(_ run: RecordedStatistics) -> Double? {
        let isEvery = run.settled != nil
        let (exits, cycles) = (Double(run.exits(every: isEvery)), Double(run.cycles(every: isEvery)))
        return switch quantity {
        case .exits, .count: exits
        case .cycles: cycles
        case .mean: exits == 0 ? 0 : cycles / exits
        case .runCycles: Double(run.runCycles)
        case .kernelCycles: run.settled.map { Double($0.reduce(0) { $0 &+ $1.serviceCycles }) }
        case .duration: Double(run.duration)
        case .kernelExits: run.kernelExits.map { Double($0) }
        case .ownSteps: Double(run.internalExits)
        }
    }

    private func kind(_ name: String, _ run: RecordedStatistics) -> Double? {
        if name.hasPrefix(ExitPlaces.kernelPrefix), run.settled == nil { return nil }
        let (exits, cycles) = (Double(run.exits(of: name)), Double(run.cycles(of: name)))
        return switch quantity {
        case .exits, .count: exits
        case .cycles: cycles
        case .mean: exits == 0 ? 0 : cycles / exits
        case .runCycles, .kernelCycles, .duration, .kernelExits, .ownSteps: nil
        }
    }

    /// The exits about something, whether or not the report has a name for it besides.
    private func detail(_ kind: String, _ what: String, _ run: RecordedStatistics) -> Double? {
        guard let details = run.places?.details else { return nil }
        return details.reduce(0.0) { sum, item in
            let isMeant = item.key.exit == kind && (item.key.what == what || item.key.what.hasPrefix(what + " ("))
            return isMeant ? sum + Double(item.value) : sum
        }
    }
}

/// Why a text is no rule.
public enum GateRuleError: Error, Hashable, Sendable {
    /// It has no operator, or brackets where none can be.
    case notARule(String)
    /// Its limit is no number.
    case notALimit(String)
    /// There is no such quantity.
    case unknownQuantity(String, String, [String])
    /// There is no such kind of exit.
    case unknownKind(String, String)
    /// Only the total has this quantity.
    case notOfKinds(String, String)
}

extension GateRuleError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notARule(let rule): "`\(rule)` is no rule: one is made of a number's name, an operator and a limit."
        case .notALimit(let rule): "`\(rule)` has no limit: one is a number, or a change such as +2% or +0."
        case .unknownQuantity(let rule, let word, let all):
            "`\(rule)`: there is no `\(word)`. There are: \(all.joined(separator: ", "))."
        case .unknownKind(let rule, let kind): "`\(rule)`: there is no kind of exit `\(kind)`."
        case .notOfKinds(let rule, let word): "`\(rule)`: a kind has no `\(word)`; the total has."
        }
    }
}
