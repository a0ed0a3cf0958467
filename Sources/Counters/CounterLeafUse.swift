/// How often a guest asked one of the counter leaves, and with what in ECX.
public struct AskedLeaf: Hashable, Sendable {
    /// The leaf: EAX on input.
    public let leaf: UInt32
    /// How often it was asked. Modulo 2^64.
    public private(set) var count: UInt64 = 0
    /// The smallest ECX on input; all ones when it was never asked.
    public private(set) var minimumECX = UInt32.max
    /// The largest ECX on input.
    public private(set) var maximumECX: UInt32 = 0

    /// A leaf that was not asked yet.
    package init(leaf: UInt32) {
        self.leaf = leaf
    }

    /// Counts a question.
    @inline(__always)
    package mutating func ask(ecx: UInt32) {
        count &+= 1
        minimumECX = min(minimumECX, ecx)
        maximumECX = max(maximumECX, ecx)
    }

    mutating func add(_ other: Self) {
        count &+= other.count
        minimumECX = min(minimumECX, other.minimumECX)
        maximumECX = max(maximumECX, other.maximumECX)
    }
}

extension AskedLeaf {
    /// The fewest numbers that make a sweep.
    private static let shortestSweep: UInt32 = 8

    /// Whether ECX looks like exit types that were gone through: several, with a question for each number in between.
    ///
    /// What a program happens to have in ECX does not look like that, except where it asks in a loop over the types.
    var isSweep: Bool {
        guard count > 0, maximumECX <= ExitNumbering.maximum else { return false }
        let span = maximumECX - minimumECX
        return span >= Self.shortestSweep - 1 && count > UInt64(span)
    }

    /// Whether ECX was always too large for an exit type of either manual, so that the question was for none.
    var isBeyondTypes: Bool { count > 0 && minimumECX > ExitNumbering.maximum }
}

/// The questions of a vCPU, or of several, to the counter leaves: a place for each leaf, and one writer.
package struct CounterLeafTally: Sendable {
    /// The leaves of ``CounterLeaves/range``, in their order.
    private var leaves = CounterLeaves.range.map(AskedLeaf.init)

    /// Nothing asked yet.
    package init() {}

    /// Counts a question, if it is one to a counter leaf. Allocates nothing.
    @inline(__always)
    package mutating func ask(leaf: UInt32, ecx: UInt32) {
        guard CounterLeaves.range.contains(leaf) else { return }
        leaves[Int(leaf &- CounterLeaves.range.lowerBound)].ask(ecx: ecx)
    }

    /// Adds another vCPU's questions.
    package mutating func add(_ other: Self) {
        for index in leaves.indices { leaves[index].add(other.leaves[index]) }
    }

    /// The leaves that were asked, in their order.
    package var asked: [AskedLeaf] { leaves.filter { $0.count > 0 } }
}

/// What a guest asked the counter leaves, and in which layout it was answered.
public struct CounterLeafUse: Hashable, Sendable {
    /// The layout.
    public let layout: CounterLeaves
    /// Whose numbers exit types had.
    public let numbering: ExitNumbering
    /// The leaves that the guest asked, in ascending order; not empty.
    public let asked: [AskedLeaf]

    /// What several vCPUs asked; nil when that is nothing.
    package init?(layout: CounterLeaves, numbering: ExitNumbering, _ tallies: [CounterLeafTally]) {
        var sum = CounterLeafTally()
        for tally in tallies { sum.add(tally) }
        guard !sum.asked.isEmpty else { return nil }
        self.layout = layout
        self.numbering = numbering
        asked = sum.asked
    }

    /// The layouts that the guest may be made for, when the questions do not fit the one that it had and fit these. Empty
    /// when they do fit, when they fit none, and when they tell nothing.
    ///
    /// A matter of likelihood: to be put to people as a question.
    public var likelierLayouts: [CounterLeaves] {
        guard !layout.fits(asked) else { return [] }
        return CounterLeaves.allCases.filter { $0 != layout && $0.fits(asked) }
    }
}

extension CounterLeaves {
    /// Whether a guest made for this layout would ask like that.
    ///
    /// It would not ask
    /// - leaves that the layout does not have;
    /// - for an exit type, with nothing but numbers that are none;
    /// - for a total, with one exit type after the other in ECX, unless it goes through the types at another leaf as
    ///   well, and asks for the total in the same loop;
    /// - one leaf for all types, another for hardly any, and never for a total: such a guest asks the other leaf for the
    ///   totals.
    func fits(_ asked: [AskedLeaf]) -> Bool {
        let known = asked.compactMap { leaf in
            question(of: leaf.leaf).map { (leaf: leaf, asksForType: $0.asksForType) }
        }
        guard known.count == asked.count else { return false }
        let (ofType, ofTotals) = (known.filter(\.asksForType), known.filter { !$0.asksForType })
        if ofType.contains(where: \.leaf.isBeyondTypes) { return false }
        guard ofType.contains(where: \.leaf.isSweep) else { return !ofTotals.contains(where: \.leaf.isSweep) }
        return !ofTotals.isEmpty || ofType.allSatisfy(\.leaf.isSweep)
    }
}
