@testable import Counters
@testable import TestSupport
import XCTest

/// What KVM settled over time: samples at any moments, made into equal intervals.
final class KernelExitSamplesTests: XCTestCase {
    /// Samples of the counts of CPUID, and of what has no type.
    private func samples(origin: UInt64 = 1000, _ moments: [(tsc: UInt64, cpuid: UInt64, other: UInt64)])
        -> KernelExitSamples
    {
        var samples = KernelExitSamples(origin: origin)
        for moment in moments {
            samples.add(SettledCounts([.cpuid: moment.cpuid, nil: moment.other]), at: moment.tsc)
        }
        return samples
    }

    func testExitsAreDividedBetweenTheIntervals() {
        // 30 in [0, 300), 10 in [300, 400), none in [400, 500).
        let samples = samples([(1300, 30, 0), (1400, 40, 7), (1500, 40, 7)])
        XCTAssertEqual(samples.length, 500)
        XCTAssertEqual(
            samples.series(intervalCycles: 200, count: 3),
            [.init(type: .cpuid, exits: [20, 20, 0]), .init(type: nil, exits: [0, 7, 0])])
        // An interval that ends within a sample's time: 7 * 50 / 100 rounded down, and the rest in the next.
        XCTAssertEqual(samples.series(intervalCycles: 350, count: 2)[1].exits, [3, 4])
    }

    func testSumsAreExactWhateverTheIntervals() {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            var samples = KernelExitSamples(origin: 5)
            var (tsc, exits) = (UInt64(5), UInt64(0))
            for _ in 0..<Int.random(in: 1...40, using: &generator) {
                tsc += UInt64.random(in: 0...1 << 40, using: &generator)
                exits += UInt64.random(in: 0...1 << 50, using: &generator)
                samples.add(SettledCounts([.hlt: exits]), at: tsc)
            }
            let interval = UInt64.random(in: 1 << 32...1 << 44, using: &generator)
            let count = Int(samples.length / interval) + 1
            let series = samples.series(intervalCycles: interval, count: count)
            XCTAssertEqual(series.map { $0.exits.reduce(0, +) }, exits == 0 ? [] : [exits])
        }
    }

    func testAnExitThatIsPassedOnLaterIsTakenBack() {
        // The second sample saw an exit in progress, which then came out to MiniVMM.
        let samples = samples([(1100, 5, 0), (1200, 9, 0), (1300, 8, 0)])
        XCTAssertEqual(samples.series(intervalCycles: 100, count: 4)[0].exits, [5, 3, 0, 0])
    }

    func testHalfOfThemGoWhenThereIsNoRoom() {
        var samples = KernelExitSamples(origin: 0)
        for number in 1..<KernelExitSamples.capacity {
            samples.add(SettledCounts([.cpuid: UInt64(number)]), at: UInt64(number))
        }
        XCTAssertEqual(samples.samples.count, KernelExitSamples.capacity)
        XCTAssertEqual(samples.stride, 1)
        samples.add(SettledCounts([.cpuid: 1000]), at: 1000)
        XCTAssertEqual(samples.samples.count, KernelExitSamples.capacity / 2 + 1)
        XCTAssertEqual(samples.stride, 2)
        XCTAssertEqual(samples.samples.prefix(3).map(\.tsc), [0, 2, 4])
        XCTAssertEqual(samples.samples.suffix(2).map(\.tsc), [510, 1000])
        // A counter that lags behind.
        samples.add(SettledCounts([.cpuid: 1001]), at: 900)
        XCTAssertEqual(samples.samples.last?.tsc, 1000)
        XCTAssertEqual(samples.series(intervalCycles: 2000, count: 1)[0].exits, [1001])
    }

    func testTimelineReachesToTheEndOfTheRun() {
        let first: UInt64 = 1 << 14
        let own = ExitTimeline(
            intervalCycles: first, intervalCount: 3, series: [.init(kind: .portOut, exits: [1, 2, 4])])
        // The run is longer than the intervals of the run loop's exits: 600 of them.
        let samples = samples(origin: 0, [(600 * first, 600, 0)])
        let timeline = own.adding([samples])
        XCTAssertEqual(timeline.intervalCycles, 2 * first)
        XCTAssertEqual(timeline.intervalCount, 301)
        XCTAssertEqual(timeline.series, [.init(kind: .portOut, exits: [3, 4] + [UInt64](repeating: 0, count: 299))])
        XCTAssertEqual(
            timeline.kernelSeries, [.init(type: .cpuid, exits: [UInt64](repeating: 2, count: 300) + [0])])
        let coarser = timeline.coarser(atMost: 151)
        XCTAssertEqual(coarser.kernelSeries[0].exits, [UInt64](repeating: 4, count: 150) + [0])
        // A short run keeps its intervals.
        XCTAssertEqual(own.adding([self.samples(origin: 0, [(first, 1, 0)])]).intervalCount, 3)
        XCTAssertEqual(own.adding([self.samples(origin: 0, [(first, 1, 0)])]).kernelSeries[0].exits, [1, 0, 0])
    }

    func testTimesOfBothClocks() {
        let clocks = ClockPairs(
            start: .init(tsc: 1_000_000, nanoseconds: 500), end: .init(tsc: 4_000_000, nanoseconds: 1_000_500))
        XCTAssertEqual(clocks.tsc(atNanoseconds: 500), 1_000_000)
        XCTAssertEqual(clocks.tsc(atNanoseconds: 1500), 1_003_000)
        XCTAssertEqual(clocks.tsc(atNanoseconds: 2_000_500), 7_000_000)
        XCTAssertEqual(clocks.tsc(atNanoseconds: 400), 999_700)
        XCTAssertEqual(clocks.tsc(atNanoseconds: .max), .max)
        let one = ClockPairs.Pair(tsc: 10, nanoseconds: 10)
        XCTAssertEqual(ClockPairs(start: one, end: one).tsc(atNanoseconds: 15), 15)
        let (now, later) = (ClockPairs.Pair.now(), ClockPairs.Pair.now())
        XCTAssertGreaterThan(later.tsc, now.tsc)
        XCTAssertGreaterThan(later.nanoseconds, now.nanoseconds)
    }

    func testSeveralVCPUsAddUp() {
        let first: UInt64 = 1 << 14
        let own = ExitTimeline(
            intervalCycles: first, intervalCount: 1, series: [.init(kind: .portOut, exits: [3])],
            vcpus: [.init(series: [.init(kind: .portOut, exits: [3])]), .init(series: [])])
        let timeline = own.adding([
            samples(origin: 0, [(first, 5, 2), (2 * first, 6, 2)]),
            samples(origin: 0, [(first, 0, 1), (2 * first, 4, 1)]),
        ])
        XCTAssertEqual(
            timeline.kernelSeries, [.init(type: .cpuid, exits: [5, 5, 0]), .init(type: nil, exits: [3, 0, 0])])
        XCTAssertEqual(
            timeline.vcpus,
            [
                .init(
                    series: [.init(kind: .portOut, exits: [3, 0, 0])],
                    kernelSeries: [.init(type: .cpuid, exits: [5, 1, 0]), .init(type: nil, exits: [2, 0, 0])]),
                .init(
                    series: [],
                    kernelSeries: [.init(type: .cpuid, exits: [0, 4, 0]), .init(type: nil, exits: [1, 0, 0])]),
            ])
    }
}
