/// The forms of a report, named after the ends of their files' names.
enum ReportForm: String, CaseIterable {
    case html
    case json
    case csv

    /// The form that a file's name asks for.
    init?(path: String) {
        guard let dot = path.lastIndex(of: ".") else { return nil }
        self.init(rawValue: path[path.index(after: dot)...].lowercased())
    }
}
