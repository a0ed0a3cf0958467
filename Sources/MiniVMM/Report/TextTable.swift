/// Columns of text, aligned.
struct TextTable {
    /// Where a column's cells stand.
    enum Alignment {
        case left
        case right
    }

    private let alignments: [Alignment]
    private let style: TextStyle
    private var rows: [(cells: [String], role: TextStyle.Role)] = []

    init(_ alignments: [Alignment], style: TextStyle = .plain) {
        self.alignments = alignments
        self.style = style
    }

    mutating func add(_ cells: [String], as role: TextStyle.Role = .body) {
        precondition(cells.count == alignments.count)
        rows.append((cells, role))
    }

    /// The rows, a line each, without spaces at the end.
    var lines: [String] {
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
