/// Columns of text, aligned.
package struct TextTable {
    /// Where a column's cells stand.
    package enum Alignment {
        case left
        case right
    }

    private let alignments: [Alignment]
    private let style: TextStyle
    private var rows: [(cells: [String], role: TextStyle.Role)] = []

    package init(_ alignments: [Alignment], style: TextStyle = .plain) {
        self.alignments = alignments
        self.style = style
    }

    package mutating func add(_ cells: [String], as role: TextStyle.Role = .body) {
        precondition(cells.count == alignments.count)
        rows.append((cells, role))
    }

    /// The rows, a line each, without spaces at the end.
    package var lines: [String] {
        let widths = alignments.indices.map { column in rows.map { $0.cells[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.cells.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row.cells[column].count)
                return alignments[column] == .left ? row.cells[column] + padding : padding + row.cells[column]
            }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            // Emphasis takes no room on the screen, so it comes after the alignment.
            return style.text(line, as: row.role)
        }
    }
}

extension TextTable {
    /// The same as a table of GitHub's Markdown. The first row is its head.
    package var markdown: [String] {
        let rule = alignments.map { $0 == .left ? "---" : "---:" }
        let all = rows.map { row in row.cells.map { $0.replacing("|", with: "\\|") } }
        return (all.prefix(1) + [rule] + all.dropFirst()).map { "| " + $0.joined(separator: " | ") + " |" }
    }
}

/// Sentences on the lines of a terminal.
package enum TextLines {
    /// The columns of a terminal.
    package static let width = 80

    /// A sentence on lines of a terminal's width. What stands in backticks is to be copied, and stays on one line.
    ///
    /// - Parameters:
    ///   - first: What the first line begins with.
    ///   - rest: What the others begin with.
    package static func wrapped(_ sentence: String, first: String = "", rest: String = "") -> [String] {
        var lines: [String] = []
        var line = first
        var isEmpty = true
        for word in words(sentence) {
            if !isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = rest
                isEmpty = true
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        return lines + [line]
    }

    /// The words, those in backticks together.
    private static func words(_ sentence: String) -> [String] {
        var words: [String] = []
        var isOpen = false
        for word in sentence.split(separator: " ") {
            if isOpen { words[words.count - 1] += " " + word } else { words.append(String(word)) }
            if word.count(where: { $0 == "`" }) % 2 == 1 { isOpen.toggle() }
        }
        return words
    }
}

/// How text is emphasized: by a terminal's escape sequences, or not at all.
public enum TextStyle: Sendable {
    /// No emphasis: for pipes, files, and those who want none.
    case plain
    /// Bold, dim and colored text, for a terminal.
    case colored

    /// What a piece of text is.
    package enum Role {
        /// Nothing special.
        case body
        /// The heads of a table's columns, and what stands above a table.
        case heading
        /// A sum, or a number that matters most.
        case strong
        /// What is only said for completeness.
        case aside
        /// The row that costs more than all others together.
        case hot
    }

    /// The text in the given role.
    package func text(_ text: String, as role: Role) -> String {
        guard self == .colored, let code = Self.code(role) else { return text }
        return "\u{1b}[\(code)m\(text)\u{1b}[0m"
    }

    /// Select Graphic Rendition. Source: ECMA-48, section 8.3.117.
    private static func code(_ role: Role) -> String? {
        switch role {
        case .body: nil
        case .heading: "1"
        case .strong: "1"
        case .aside: "2"
        case .hot: "33"
        }
    }
}

/// Numbers as a person reads them in a table: three significant digits and a unit.
package enum HumanNumber {
    /// A count or a number of cycles: `999`, `1.23k`, `45.6M`. At most five characters up to 10^15.
    package static func count(_ value: Double) -> String {
        scaled(value, ["", "k", "M", "G", "T", "P"])
    }

    /// A count or a number of cycles.
    package static func count(_ value: UInt64) -> String {
        value < 1000 ? String(value) : count(Double(value))
    }

    /// A time in seconds: `850ns`, `4.10us`, `27.8ms`, `1.50s`, `125s`.
    package static func seconds(_ value: Double) -> String {
        let nanoseconds = value * 1e9
        return nanoseconds < 1e9
            ? scaled(nanoseconds, ["ns", "us", "ms"]) : scaled(value, ["s", "ks", "Ms"])
    }

    /// A time in seconds as prose has it, with a space: `4.10 us`.
    static func spaced(seconds value: Double) -> String {
        let text = seconds(value)
        let number = text.prefix { !$0.isLetter }
        return "\(number) \(text.dropFirst(number.count))"
    }

    /// A share of a whole: `3.1%`, `100%`.
    package static func share(_ part: UInt64, of whole: UInt64) -> String {
        guard whole > 0 else { return "-" }
        let percent = Double(part) / Double(whole) * 100
        return percent >= 99.95 ? "100%" : fixed(percent, digits: 1) + "%"
    }

    /// Three significant digits in the unit that leaves one to three of them before the point.
    private static func scaled(_ value: Double, _ units: [String]) -> String {
        var value = value
        var index = 0
        while value >= 999.5, index + 1 < units.count {
            value /= 1000
            index += 1
        }
        let digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        let isWhole = index == 0 && value == value.rounded()
        return fixed(value, digits: isWhole ? 0 : digits) + units[index]
    }

    /// A number that is not negative, with a fixed number of digits after the point.
    package static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value * scale).rounded()
        // Past what an integer holds, there is nothing to round.
        guard scaled < 1e18 else { return String(value) }
        let number = UInt64(max(0, scaled))
        guard digits > 0 else { return String(number) }
        let whole = number / UInt64(scale)
        let rest = String(number % UInt64(scale))
        return "\(whole)." + String(repeating: "0", count: digits - rest.count) + rest
    }
}
