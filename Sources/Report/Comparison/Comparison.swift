import Counters

/// Two sides held against each other: a run each, or several whose medians count.
public struct Comparison: Sendable {
    package let first: RunGroup
    package let second: RunGroup
    /// What to call the runs of each side, such as the files that they were read from.
    package let names: (first: [String], second: [String])
    /// What became of the rules, in their order.
    package let verdicts: [GateRule.Verdict]
    /// Whether every exit is compared, those included that KVM settled: where all runs counted every one.
    package let isEvery: Bool

    /// A comparison.
    ///
    /// - Parameters:
    ///   - first: What is held against.
    ///   - second: What is judged.
    ///   - names: What to call the runs of each side.
    ///   - rules: What the second side has to keep.
    public init(_ first: RunGroup, _ second: RunGroup, names: ([String], [String]), rules: [GateRule] = []) {
        self.first = first
        self.second = second
        self.names = (names.0, names.1)
        verdicts = rules.map { $0.judge(first, second) }
        isEvery = first.isEvery && second.isEvery
    }

    /// What became of the broken rules, a sentence each.
    public var brokenRules: [String] { verdicts.filter(\.isBroken).map(\.sentence) }

    /// A number of both sides.
    package struct Pair: Hashable, Sendable {
        package let first: Spread
        package let second: Spread

        /// How far the runs of a side lie apart, of the side where that is further.
        package var relativeSpread: Double { max(first.relative, second.relative) }
        /// By how much the medians differ.
        fileprivate var difference: Double { abs(first.median - second.median) }
    }

    /// The exits of one kind, or all.
    package struct Row: Sendable {
        package let name: String
        package let isExact: Bool
        package let exits: Pair
        package let cycles: Pair
        /// Cycles for an exit.
        package let mean: Pair
    }

    /// The kinds of either side; those with the maximum difference in cycles first.
    package var rows: [Row] {
        // There are no more than a few hundred, see ``RecordedStatistics``.
        let kinds = (first.runs + second.runs).flatMap { $0.kinds(every: isEvery) }.firsts(by: \.name)
        let rows = kinds.map { kind in
            row(kind.name, isExact: kind.isExact, { $0.exits(of: kind.name) }, { $0.cycles(of: kind.name) })
        }
        return rows.sorted { ($0.cycles.difference, $1.name) > ($1.cycles.difference, $0.name) }
    }

    /// The sum of all.
    package var total: Row {
        row("total", isExact: false, { $0.exits(every: isEvery) }, { $0.cycles(every: isEvery) })
    }

    private func row(
        _ name: String, isExact: Bool, _ exits: (RecordedStatistics) -> UInt64, _ cycles: (RecordedStatistics) -> UInt64
    ) -> Row {
        func means(_ group: RunGroup) -> Spread {
            Spread(
                group.runs.map { run in
                    let count = exits(run)
                    return count == 0 ? 0 : Double(cycles(run)) / Double(count)
                })
        }
        return Row(
            name: name, isExact: isExact, exits: pair(exits), cycles: pair(cycles),
            mean: Pair(first: means(first), second: means(second)))
    }

    /// A number that all runs have.
    package func pair(_ number: (RecordedStatistics) -> UInt64) -> Pair {
        Pair(first: first.spread(number), second: second.spread(number))
    }

    /// A number that runs need not have; nil unless all have it.
    package func pair(ofAll number: (RecordedStatistics) -> UInt64?) -> Pair? {
        func spread(_ group: RunGroup) -> Spread? { group.spread(ofAll: { run in number(run).map { Double($0) } }) }
        guard let one = spread(first), let other = spread(second) else { return nil }
        return Pair(first: one, second: other)
    }
}

/// What the numbers depend on, and where the sides differ in that.
extension Comparison {
    /// Something in which runs differ that should not.
    package struct Difference: Hashable, Sendable {
        package let name: String
        /// The values of each side.
        package let first: [String]
        package let second: [String]
    }

    /// All of them.
    package var differences: [Difference] {
        let names = (first.conditionNames + second.conditionNames).firsts { $0 }
        return names.compactMap { name in
            let (one, other) = (first.values(of: name), second.values(of: name))
            // What is not recorded on a side is not known to differ.
            guard !one.isEmpty, !other.isEmpty, Set(one + other).count > 1 else { return nil }
            return Difference(name: name, first: one, second: other)
        }
    }
}

/// What exits were about, and which functions made them.
extension Comparison {
    /// A place, and its exits on both sides.
    package struct PlaceRow: Sendable {
        package let place: RecordedStatistics.Places.Place
        package let exits: Pair
    }

    /// What exits were about: those with the largest difference first; nil unless all runs kept it.
    package var details: [PlaceRow]? { placeRows(\.details) }
    /// The functions that made them; nil likewise.
    package var functions: [PlaceRow]? { placeRows(\.functions) }

    private func placeRows(_ counts: KeyPath<RecordedStatistics.Places, RecordedStatistics.Places.Counts>)
        -> [PlaceRow]?
    {
        func each(_ group: RunGroup) -> [RecordedStatistics.Places.Counts]? {
            let kept = group.runs.compactMap(\.places).map { (isEvery ? $0 : $0.withoutKernels)[keyPath: counts] }
            return kept.count == group.runs.count && kept.contains { !$0.isEmpty } ? kept : nil
        }
        guard let one = each(first), let other = each(second) else { return nil }
        let rows = Set((one + other).flatMap(\.keys)).map { place in
            func spread(_ runs: [RecordedStatistics.Places.Counts]) -> Spread {
                Spread(runs.map { Double($0[place] ?? 0) })
            }
            return PlaceRow(place: place, exits: Pair(first: spread(one), second: spread(other)))
        }
        // Names settle ties, so that the order is the same each time.
        return rows.sorted {
            ($0.exits.difference, $1.place.exit, $1.place.what) > ($1.exits.difference, $0.place.exit, $0.place.what)
        }
    }
}
