@testable import Counters
@testable import TestSupport
import XCTest

/// Exits over time, in a fixed number of intervals.
final class TimelineRecorderTests: XCTestCase {
    private let first: UInt64 = 1 << TimelineRecorder.firstShift

    private func recorder(_ exits: [(ExitKind, UInt64)], origin: UInt64 = 1000) throws -> TimelineRecorder {
        let recorder = try TimelineRecorder()
        recorder.start(at: origin)
        for (kind, elapsed) in exits { _ = recorder.record(kind, at: origin + elapsed) }
        return recorder
    }

    func testExitsAreInTheirIntervals() throws {
        let timeline = ExitTimeline(sumOf: [
            try recorder([(.portOut, 0), (.portOut, first - 1), (.hlt, first), (.portOut, 3 * first)])
        ])
        XCTAssertEqual(timeline.intervalCycles, first)
        XCTAssertEqual(timeline.intervalCount, 4)
        XCTAssertEqual(
            timeline.series,
            [.init(kind: .portOut, exits: [2, 0, 0, 1]), .init(kind: .hlt, exits: [0, 1, 0, 0])])
    }

    func testEachVCPUHasItsOwn() throws {
        let timeline = ExitTimeline(sumOf: [
            try recorder([(.portOut, 0), (.hlt, 2 * first)]), try recorder([(.portOut, first)]),
        ])
        XCTAssertEqual(
            timeline.vcpus,
            [
                .init(series: [.init(kind: .portOut, exits: [1, 0, 0]), .init(kind: .hlt, exits: [0, 0, 1])]),
                .init(series: [.init(kind: .portOut, exits: [0, 1, 0])]),
            ])
        XCTAssertEqual(timeline.coarser(atMost: 2).vcpus[0].series[1].exits, [0, 1])
    }

    func testAnExitBeforeTheStartIsInTheFirstInterval() throws {
        let recorder = try TimelineRecorder()
        recorder.start(at: 1 << 40)
        XCTAssertEqual(recorder.record(.hlt, at: 5), 0)
        XCTAssertEqual(ExitTimeline(sumOf: [recorder]).series, [.init(kind: .hlt, exits: [1])])
    }

    func testIntervalsGetLongerWhenTheyAreUsedUp() throws {
        let count = UInt64(TimelineRecorder.intervalCount)
        let exits = (0..<count).map { (ExitKind.portIn, $0 * first) }
        XCTAssertEqual(try ExitTimeline(sumOf: [recorder(exits)]).intervalCycles, first)
        let longer = try ExitTimeline(sumOf: [recorder(exits + [(.portIn, count * first)])])
        XCTAssertEqual(longer.intervalCycles, 2 * first)
        XCTAssertEqual(
            longer.series, [.init(kind: .portIn, exits: [UInt64](repeating: 2, count: Int(count) / 2) + [1])])
    }

    func testALongPauseDoublesSeveralTimesAtOnce() throws {
        let recorder = try recorder([(.portIn, 0), (.portIn, first), (.hlt, first << 30)])
        let timeline = ExitTimeline(sumOf: [recorder])
        XCTAssertEqual(timeline.intervalCycles, first << 22)
        XCTAssertEqual(timeline.intervalCount, 257)
        XCTAssertEqual(timeline.series.map { $0.exits.reduce(0, +) }, [2, 1])
        XCTAssertEqual(timeline.series.first?.exits.first, 2)
    }

    func testNothingIsLostWhateverTheTimes() throws {
        var random = SeededGenerator(seed: 7)
        var elapsed: UInt64 = 0
        var exits: [(ExitKind, UInt64)] = []
        for _ in 0..<5000 {
            elapsed += UInt64.random(in: 0...(1 << UInt64.random(in: 0...24)), using: &random)
            exits.append((ExitKind.allCases.randomElement(using: &random) ?? .hlt, elapsed))
        }
        let timeline = try ExitTimeline(sumOf: [recorder(exits)])
        for kind in ExitKind.allCases {
            let wanted = UInt64(exits.filter { $0.0 == kind }.count)
            XCTAssertEqual(timeline.series.first { $0.kind == kind }?.exits.reduce(0, +) ?? 0, wanted)
        }
        XCTAssertGreaterThan(timeline.intervalCount, TimelineRecorder.intervalCount / 2)
        XCTAssertEqual(Set(timeline.series.map(\.exits.count)), [timeline.intervalCount])
    }

    func testVCPUsAreAddedInTheLongestIntervals() throws {
        let count = UInt64(TimelineRecorder.intervalCount)
        let timeline = ExitTimeline(sumOf: [
            try recorder([(.portIn, 0), (.portIn, first), (.portIn, 2 * first)]),
            try recorder([(.portIn, 0), (.hlt, count * first)]),
        ])
        XCTAssertEqual(timeline.intervalCycles, 2 * first)
        XCTAssertEqual(timeline.series.map { Array($0.exits.prefix(3)) }, [[3, 1, 0], [0, 0, 0]])
        XCTAssertEqual(timeline.series.last?.exits.last, 1)
    }

    func testCoarserIntervalsHoldTheSame() throws {
        let timeline = try ExitTimeline(sumOf: [recorder((0..<10).map { (.portIn, $0 * first) })])
        let coarser = timeline.coarser(atMost: 4)
        XCTAssertEqual(coarser.intervalCycles, 3 * first)
        XCTAssertEqual(coarser.series, [.init(kind: .portIn, exits: [3, 3, 3, 1])])
        XCTAssertEqual(timeline.coarser(atMost: 10), timeline)
    }

    func testNoExits() throws {
        let timeline = try ExitTimeline(sumOf: [recorder([])])
        XCTAssertEqual(timeline.intervalCount, 0)
        XCTAssertEqual(timeline.series, [])
        XCTAssertEqual(timeline.coarser(atMost: 4), timeline)
    }
}
