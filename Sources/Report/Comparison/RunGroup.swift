import Counters

/// A number over several runs.
package struct Spread: Hashable, Sendable {
    /// The median: of an even number of runs, the mean of the two in the middle.
    package let median: Double
    package let least: Double
    package let most: Double

    /// The spread of some values; zeros where there are none.
    package init(_ values: [Double]) {
        let sorted = values.sorted()
        least = sorted.first ?? 0
        most = sorted.last ?? 0
        let middle = sorted.count / 2
        median =
            sorted.isEmpty ? 0 : sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// Whether all runs agree.
    package var isConstant: Bool { least == most }

    /// How far the runs lie apart, as a part of the median.
    package var relative: Double { median > 0 ? (most - least) / median : most > least ? 1 : 0 }
}

extension Sequence {
    /// The first of those that are alike in something, in their order.
    func firsts<Key: Hashable>(by key: (Element) -> Key) -> [Element] {
        var seen: Set<Key> = []
        return filter { seen.insert(key($0)).inserted }
    }
}

/// Runs that are taken together: one side of a comparison, or one command that was repeated.
public struct RunGroup: Sendable {
    /// The runs, at least one.
    package let runs: [RecordedStatistics]

    /// Takes runs together.
    ///
    /// - Returns: nil where there is none.
    public init?(_ runs: [RecordedStatistics]) {
        guard !runs.isEmpty else { return nil }
        self.runs = runs
    }

    /// Whether every exit was counted in all of the runs.
    package var isEvery: Bool { runs.allSatisfy { $0.settled != nil } }

    /// The guest's name, where all have the same.
    package var guest: String? { Set(runs.map(\.guest)).count == 1 ? runs[0].guest : nil }

    /// A number of all runs.
    package func spread(_ number: (RecordedStatistics) -> UInt64) -> Spread { Spread(runs.map { Double(number($0)) }) }

    /// A number that runs need not have; nil unless all have it.
    package func spread(ofAll number: (RecordedStatistics) -> Double?) -> Spread? {
        let numbers = runs.compactMap(number)
        return numbers.count == runs.count ? Spread(numbers) : nil
    }

    /// The values of something that numbers depend on, in the order in which they come.
    package func values(of condition: String) -> [String] {
        runs.compactMap { run in run.conditions.first { $0.name == condition }?.value }.firsts { $0 }
    }

    /// The names of those.
    package var conditionNames: [String] { runs.flatMap(\.conditions).map(\.name).firsts { $0 } }
}

extension RecordedStatistics {
    /// The kinds of exits: those that reached MiniVMM, and those that KVM settled.
    ///
    /// - Parameter every: Whether the latter are wanted.
    package func kinds(every: Bool) -> [Kind] { every ? kinds + (settled ?? []) : kinds }

    /// A kind; nil where there was no such exit.
    package func kind(_ name: String) -> Kind? {
        kinds.first { $0.name == name } ?? settled?.first { $0.name == name }
    }

    /// How many exits there were of a kind.
    package func exits(of name: String) -> UInt64 { kind(name)?.exits ?? 0 }

    /// What they took.
    package func cycles(of name: String) -> UInt64 { kind(name)?.serviceCycles ?? 0 }

    /// All exits of the kinds whose number is the guest's doing alone.
    package var exactExits: UInt64 {
        kinds(every: true).reduce(0) { $1.isExact ? $0 &+ $1.exits : $0 }
    }

    /// All exits.
    package func exits(every: Bool) -> UInt64 { kinds(every: every).reduce(0) { $0 &+ $1.exits } }

    /// What all took.
    package func cycles(every: Bool) -> UInt64 { kinds(every: every).reduce(0) { $0 &+ $1.serviceCycles } }
}
