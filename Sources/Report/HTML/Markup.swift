import FoundationEssentials

/// HTML or SVG. It is made of literals of this program, which stand as they are, and of texts and numbers put into them,
/// which are escaped: there is no other way to make it, so that nothing from outside can become a tag or leave an attribute.
struct Markup: Hashable, Sendable {
    /// The characters.
    let text: String

    /// For this file alone: whoever makes it escapes.
    private init(verbatim text: String) {
        self.text = text
    }

    /// A text as it stands between tags and in an attribute with quotes around it.
    init(_ text: String) {
        self.init(verbatim: Self.escaped(text))
    }

    /// A value as JSON for a `script` element of the type `application/json`, with escapes in place of what could end
    /// the element or start a comment.
    init(json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var text = ""
        for scalar in try String(decoding: encoder.encode(value), as: UTF8.self).unicodeScalars {
            switch scalar {
            // In JSON these stand in strings alone.
            case "<", ">", "&", "\u{7f}"..."\u{9f}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        self.init(verbatim: text)
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            // What HTML does not allow, a control character of a command line for one, is shown as replaced.
            case "\u{0}"..."\u{8}", "\u{b}", "\u{e}"..."\u{1f}", "\u{7f}"..."\u{9f}": result += "\u{fffd}"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}

extension Markup: ExpressibleByStringInterpolation {
    // A StaticString cannot be made from a text at run time: literals alone get here.
    init(stringLiteral value: StaticString) {
        self.init(verbatim: String(describing: value))
    }

    init(stringInterpolation: StringInterpolation) {
        self.init(verbatim: stringInterpolation.text)
    }

    /// A literal while it is put together. What has no method here does not compile.
    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) {
            text.reserveCapacity(literalCapacity)
        }

        mutating func appendLiteral(_ literal: StaticString) { text += String(describing: literal) }
        mutating func appendInterpolation(_ markup: Markup) { text += markup.text }
        mutating func appendInterpolation(_ text: String) { self.text += Markup.escaped(text) }
        mutating func appendInterpolation(_ number: some BinaryInteger) { text += String(number) }

        /// A number in an attribute: at most three digits after the point.
        mutating func appendInterpolation(number: Double) { text += Markup.number(number) }
    }
}

extension DefaultStringInterpolation {
    /// Markup within a String is escaped a second time when that gets into a page. The build takes no warnings; one that
    /// is unavailable would lose to the method for values of any type.
    @available(*, deprecated, message: "Make this literal a Markup.")
    mutating func appendInterpolation(_ markup: Markup) { appendLiteral(markup.text) }
}

extension Markup {
    static func + (left: Markup, right: Markup) -> Markup { Markup(verbatim: left.text + right.text) }
    static func += (left: inout Markup, right: Markup) { left = left + right }

    /// A number in an attribute: at most three digits after the point.
    static func number(_ value: Double) -> String {
        let text = HumanNumber.fixed(value, digits: 3)
        guard text.contains(".") else { return text }
        var trimmed = Substring(text)
        while trimmed.last == "0" { trimmed.removeLast() }
        if trimmed.last == "." { trimmed.removeLast() }
        return String(trimmed)
    }

    fileprivate static func joined(_ pieces: some Sequence<Markup>, _ separator: Markup) -> Markup {
        Markup(verbatim: pieces.map(\.text).joined(separator: separator.text))
    }
}

extension Sequence<Markup> {
    /// The pieces one after the other.
    func joined(separator: Markup = "") -> Markup { Markup.joined(self, separator) }
}

/// Pieces that several sections have.
extension Markup {
    /// A section with a heading.
    ///
    /// - Parameter whole: What its numbers are not chosen by, in words that the script knows: `kind`, `vcpu`, `time`.
    static func section(_ heading: String, whole: String? = nil, _ body: Markup) -> Markup {
        "<section\(attribute("data-whole", whole))>\n<h2>\(heading)</h2>\n\(body)</section>\n"
    }

    /// A row of a table, and what the script finds it by.
    struct Row {
        let cells: [Markup]
        /// The number of the group that its exits are of.
        let group: Int?
        /// The number of the series that has its exits over time.
        let series: Int?

        init(_ cells: [Markup], group: Int? = nil, series: Int? = nil) {
            self.cells = cells
            self.group = group
            self.series = series
        }
    }

    /// An attribute whose value is a number or a word; none where it is nil.
    static func attribute(_ name: StaticString, _ value: (some CustomStringConvertible)?) -> Markup {
        value.map { " \(Markup(stringLiteral: name))=\"\($0.description)\"" } ?? ""
    }

    /// A table. Columns of numbers are aligned to the right.
    ///
    /// - Parameters:
    ///   - footer: The last row, the sum.
    ///   - asides: Rows under it that are in no sum.
    ///   - wordColumns: How many columns have words: the first ones.
    ///   - vcpu: The vCPU whose exits it has; nil for all.
    ///   - places: Which table of places it is.
    static func table(
        _ head: [String], _ rows: [Row], footer: [String]? = nil, asides: [[String]] = [], wordColumns: Int = 1,
        vcpu: Int? = nil, places: String? = nil
    ) -> Markup {
        func cells(_ cells: [Markup]) -> Markup {
            cells.enumerated().map { column, cell -> Markup in
                (1..<max(wordColumns, 1)).contains(column) ? "<td class=\"word\">\(cell)</td>" : "<td>\(cell)</td>"
            }.joined()
        }
        let body = rows.map { row -> Markup in
            """
            <tr\(attribute("data-group", row.group))\(attribute("data-series", row.series))>\(cells(row.cells))</tr>

            """
        }.joined()
        let heads = head.enumerated().map { column, name -> Markup in
            (1..<max(wordColumns, 1)).contains(column) ? "<th class=\"word\">\(name)</th>" : "<th>\(name)</th>"
        }.joined()
        let feet = footer.map { footer in
            ([footer] + asides).map { row -> Markup in "<tr>\(cells(row.map { Markup($0) }))</tr>\n" }.joined()
        }
        let foot: Markup = feet.map { "<tfoot>\($0)</tfoot>\n" } ?? ""
        return """
            <div class="scroll"><table\(attribute("data-vcpu", vcpu))\(attribute("data-places", places))>
            <thead><tr>\(heads)</tr>
            </thead>
            <tbody>
            \(body)</tbody>
            \(foot)</table></div>

            """
    }
}
