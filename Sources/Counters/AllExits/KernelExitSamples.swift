/// The exits that KVM settled itself, by type.
///
/// A type is one of the SDM's reasons; those of the processor's reasons that the SDM has no number for are one more.
package struct SettledCounts: Hashable, Sendable {
    /// How many types there are.
    package static let typeCount = Int(BasicExitReason.maximum) + 2

    /// The exits of each type.
    package private(set) var exits = [UInt64](repeating: 0, count: typeCount)

    /// No exits.
    package init() {}

    /// The exits of the given types; nil stands for what has no number.
    package init(_ exits: [BasicExitReason?: UInt64]) {
        for (type, count) in exits { add(count, of: type) }
    }

    /// The exits of a type.
    package subscript(type: BasicExitReason?) -> UInt64 { exits[Self.index(of: type)] }

    /// Adds exits of a type.
    package mutating func add(_ count: UInt64, of type: BasicExitReason?) {
        exits[Self.index(of: type)] &+= count
    }

    /// A type's place in ``exits``.
    private static func index(of type: BasicExitReason?) -> Int {
        type.map { Int($0.rawValue) } ?? typeCount - 1
    }

    /// The type at a place of ``exits``.
    static func type(at index: Int) -> BasicExitReason? { UInt32(exactly: index).flatMap(BasicExitReason.init) }
}

/// What KVM had settled at moments of a run, in memory that does not grow: when there is no more room, every second
/// sample goes, and the time from one to the next is doubled.
package struct KernelExitSamples: Sendable {
    /// One moment.
    package struct Sample: Hashable, Sendable {
        /// The time-stamp counter.
        package let tsc: UInt64
        /// The exits since the start of the run.
        package let counts: SettledCounts
    }

    /// The most samples that are kept. At any time there are more than half of them, but for the first moments.
    package static let capacity = 512

    /// The samples in the order of their times. The first is the start of the run, when there was no exit.
    package private(set) var samples: [Sample]
    /// How many samples there have been from one that is kept to the next.
    package private(set) var stride = 1

    /// The start of a run.
    package init(origin: UInt64) {
        samples = [Sample(tsc: origin, counts: SettledCounts())]
        samples.reserveCapacity(Self.capacity)
    }

    /// Takes a sample. When there is no more room, half of them go, and the next ones should have twice the distance.
    package mutating func add(_ counts: SettledCounts, at tsc: UInt64) {
        if samples.count >= Self.capacity {
            samples = samples.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)
            stride *= 2
        }
        // On a processor whose counter lags behind, the time stands still rather than that it goes back.
        samples.append(Sample(tsc: max(tsc, samples.last?.tsc ?? tsc), counts: counts))
    }

    /// The end of the run, in cycles from its start.
    package var length: UInt64 { (samples.last?.tsc ?? 0) &- (samples.first?.tsc ?? 0) }

    /// The exits of each type in each of equally long intervals from the start on. Between two samples exits count as
    /// equally distributed; the sum over all intervals is exact if they reach to the end.
    ///
    /// - Returns: The types of which there was an exit, in the order of the SDM's numbers.
    func series(intervalCycles: UInt64, count: Int) -> [ExitTimeline.KernelSeries] {
        let places = boundaries(intervalCycles: intervalCycles, count: count)
        return (0..<SettledCounts.typeCount).compactMap { index in
            let sums = cumulated(index)
            guard let total = sums.last, total > 0 else { return nil }
            let ends = places.map { $0.value(sums) }
            let exits = zip(ends, ends.dropFirst()).map { $1 &- $0 }
            return ExitTimeline.KernelSeries(type: SettledCounts.type(at: index), exits: exits)
        }
    }

    /// The exits of a type up to each sample, which never decrease: an exit in progress counts as settled until it is
    /// passed on, so that a sample may have some too many.
    private func cumulated(_ index: Int) -> [UInt64] {
        var least = UInt64.max
        var sums = samples.reversed().map { sample in
            least = min(least, sample.counts.exits[index])
            return least
        }
        sums.reverse()
        return sums
    }

    /// A moment between two samples.
    private struct Place {
        /// The sample before it.
        let sample: Int
        /// Cycles since that sample.
        let offset: UInt64
        /// Cycles from that sample to the next; 0 when there is none.
        let distance: UInt64

        /// What a number was that the samples have.
        func value(_ numbers: [UInt64]) -> UInt64 {
            let before = numbers[sample]
            guard distance > 0 else { return before }
            let product = (numbers[sample + 1] &- before).multipliedFullWidth(by: offset)
            // The offset is less than the distance, so that the quotient is at most the difference.
            return before &+ distance.dividingFullWidth(product).quotient
        }
    }

    /// Where each interval starts, and where the last one ends.
    private func boundaries(intervalCycles: UInt64, count: Int) -> [Place] {
        let origin = samples.first?.tsc ?? 0
        var sample = 0
        return (0...count).map { number in
            let (length, overflow) = intervalCycles.multipliedReportingOverflow(by: UInt64(number))
            let (time, passed) = origin.addingReportingOverflow(length)
            guard !overflow, !passed else { return Place(sample: samples.count - 1, offset: 0, distance: 0) }
            while sample + 1 < samples.count, samples[sample + 1].tsc <= time { sample += 1 }
            guard sample + 1 < samples.count else { return Place(sample: sample, offset: 0, distance: 0) }
            return Place(
                sample: sample, offset: time &- samples[sample].tsc,
                distance: samples[sample + 1].tsc &- samples[sample].tsc)
        }
    }
}
