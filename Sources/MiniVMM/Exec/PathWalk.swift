/// A walk along an absolute path, one part at a time, that can be led elsewhere by symbolic links.
struct PathWalk: Sendable {
    /// Where the walk stands: a path without links, `.` or `..`. Empty at the root.
    private(set) var path = ""
    /// The parts that are still to come, the next one last.
    private var rest: [Substring]

    /// A walk from the root.
    init(_ path: String) {
        rest = path.split(separator: "/").reversed()
    }

    /// Whether there are no more parts.
    var isAtEnd: Bool { rest.isEmpty }

    /// Goes on by a part.
    ///
    /// - Returns: The path with that part; nil when there is none left.
    mutating func advance() -> String? {
        while let part = rest.popLast() {
            switch part {
            case ".": continue
            case "..": path = Self.parent(of: path)
            default:
                path += "/" + part
                return path
            }
        }
        return nil
    }

    /// Goes where a link leads that stands where the walk has just arrived.
    mutating func follow(_ target: String) {
        path = target.hasPrefix("/") ? "" : Self.parent(of: path)
        rest += target.split(separator: "/").reversed()
    }

    /// The path without its last part; empty for what stands in the root.
    static func parent(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    /// The last part of a path.
    static func lastPart(of path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? ""
    }
}
