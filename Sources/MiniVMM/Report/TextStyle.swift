/// How text is emphasized: by a terminal's escape sequences, or not at all.
public enum TextStyle: Sendable {
    /// No emphasis: for pipes, files, and those who want none.
    case plain
    /// Bold, dim and colored text, for a terminal.
    case colored

    /// What a piece of text is.
    enum Role {
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
    func text(_ text: String, as role: Role) -> String {
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
