/// Pieces of HTML and SVG.
enum HTML {
    /// Text as it stands between tags and in attributes.
    static func escaped(_ text: String) -> String {
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

    /// A number in an attribute: at most three digits after the point.
    static func number(_ value: Double) -> String {
        let text = HumanNumber.fixed(value, digits: 3)
        guard text.contains(".") else { return text }
        var trimmed = Substring(text)
        while trimmed.last == "0" { trimmed.removeLast() }
        if trimmed.last == "." { trimmed.removeLast() }
        return String(trimmed)
    }

    /// A section with a heading.
    static func section(_ heading: String, _ body: String) -> String {
        "<section>\n<h2>\(escaped(heading))</h2>\n\(body)</section>\n"
    }

    /// A table. All columns but the first hold numbers, and are aligned to the right.
    static func table(_ head: [String], _ rows: [[String]], footer: [String]? = nil) -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            "<tr>" + cells.map { "<\(tag)>\($0)</\(tag)>" }.joined() + "</tr>\n"
        }
        let foot = footer.map { "<tfoot>" + row($0, "td") + "</tfoot>\n" } ?? ""
        return "<div class=\"scroll\"><table>\n<thead>" + row(head, "th") + "</thead>\n<tbody>\n"
            + rows.map { row($0, "td") }.joined() + "</tbody>\n" + foot + "</table></div>\n"
    }
}
