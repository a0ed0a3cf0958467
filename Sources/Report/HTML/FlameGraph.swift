/// A flame graph, the outermost frames on top: a frame is as wide as the exits of the stacks that go through it.
///
/// It is made of stacks alone, whatever they come from.
struct FlameGraph {
    /// Exits with their frames in common.
    struct Stack: Hashable, Sendable {
        /// The frames, the outermost first.
        let frames: [String]
        let weight: UInt64
        /// The class of the innermost frame, which the style sheet gives its color.
        let colorClass: String
    }

    /// A frame that is drawn. All numbers but the depth are weights.
    private struct Frame {
        let name: String
        let depth: Int
        let start: UInt64
        var weight: UInt64
        let colorClass: String
    }

    private let frames: [Frame]
    private let total: UInt64
    private let depth: Int

    /// What the frame above all others is called.
    static let rootName = "all"
    /// Frames that are a smaller part of the whole are not drawn.
    static let leastShare = 1.0 / 2000

    /// - Parameter stacks: Those with most weight are drawn first, from the left.
    init(_ stacks: [Stack]) {
        let root = Node(stacks.filter { $0.weight > 0 }.map { ($0.frames[...], $0.weight, $0.colorClass) })
        var frames: [Frame] = []
        root.add(to: &frames, named: Self.rootName, depth: 0, start: 0, least: Double(root.weight) * Self.leastShare)
        self.frames = frames
        total = root.weight
        depth = (frames.map(\.depth).max() ?? 0) + 1
    }

    /// The stacks below a frame.
    private struct Node {
        let weight: UInt64
        private let colorClass: String
        private let children: [(name: String, node: Node)]

        init(_ stacks: [(frames: ArraySlice<String>, weight: UInt64, colorClass: String)]) {
            weight = stacks.reduce(0) { $0 &+ $1.weight }
            colorClass = stacks.first { $0.frames.isEmpty }?.colorClass ?? "inner"
            let groups = Dictionary(grouping: stacks.filter { !$0.frames.isEmpty }) { $0.frames.first ?? "" }
            // The name settles ties, so that the order is the same each time.
            children = groups.map { name, stacks in
                (name, Node(stacks.map { ($0.frames.dropFirst(), $0.weight, $0.colorClass) }))
            }.sorted { ($0.node.weight, $1.name) > ($1.node.weight, $0.name) }
        }

        func add(to frames: inout [Frame], named name: String, depth: Int, start: UInt64, least: Double) {
            guard weight > 0, Double(weight) >= least else { return }
            frames.append(Frame(name: name, depth: depth, start: start, weight: weight, colorClass: colorClass))
            var start = start
            for (name, child) in children {
                child.add(to: &frames, named: name, depth: depth + 1, start: start, least: least)
                start &+= child.weight
            }
        }
    }

    /// The drawing. Widths are parts of whatever room there is.
    var markup: Markup {
        let whole = Double(max(total, 1)) / 100
        let items = frames.map { frame -> Markup in
            """
            <div class="frame \(frame.colorClass)" style="left:\(number: Double(frame.start) / whole)%;\
            width:\(number: Double(frame.weight) / whole)%;top:\(number: Double(frame.depth) * Self.rowHeight)rem" \
            title="\(frame.name): \(frame.weight) exits, \(HumanNumber.share(frame.weight, of: total))">\
            <span>\(frame.name)</span></div>
            """
        }
        return """
            <div class="flame" role="group" aria-label="Flame graph of exits" \
            style="height:\(number: Double(depth) * Self.rowHeight)rem">
            \(items.joined(separator: "\n"))
            </div>

            """
    }

    /// The height of a frame, in the size of the page's text.
    static let rowHeight = 1.5
}
