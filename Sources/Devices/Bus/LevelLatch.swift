/// A device's end of an interrupt line: it passes on changes of the level, and nothing else.
struct LevelLatch: Sendable {
    /// The level that was passed on last; a line starts low.
    private(set) var isHigh = false

    /// What raises (true) or lowers (false) the line at the interrupt controller.
    private let changed: @Sendable (_ isHigh: Bool) -> Void

    init(_ changed: @escaping @Sendable (_ isHigh: Bool) -> Void) {
        self.changed = changed
    }

    /// Sets the level, and passes it on if it is another than before.
    @inline(__always)
    package mutating func set(_ high: Bool) {
        guard high != isHigh else { return }
        isHigh = high
        changed(high)
    }
}
