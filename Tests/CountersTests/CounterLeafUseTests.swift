@testable import Counters
@testable import TestSupport
import XCTest

/// Which layout a guest's questions tell of.
final class CounterLeafUseTests: XCTestCase {
    private static let (fc, fd, fe, ff) = (
        UInt32(0x4fff_fffc), UInt32(0x4fff_fffd), UInt32(0x4fff_fffe), UInt32(0x4fff_ffff)
    )
    private let (fc, fd, fe, ff) = (fc, fd, fe, ff)

    /// A leaf, and ECX of each question to it.
    private typealias Questions = (leaf: UInt32, ecx: [UInt32])

    private static let sweep = Array(UInt32(0)...69)

    private func use(_ layout: CounterLeaves, _ questions: [Questions]) throws -> CounterLeafUse {
        var tally = CounterLeafTally()
        for (leaf, ecx) in questions {
            for ecx in ecx { tally.ask(leaf: leaf, ecx: ecx) }
        }
        return try XCTUnwrap(CounterLeafUse(layout: layout, numbering: .sdm, [tally]))
    }

    /// What is asked of each layout, for guests made for another.
    private func check(
        _ questions: [Questions], f22: [CounterLeaves], f21: [CounterLeaves], s21: [CounterLeaves], line: UInt = #line
    ) throws {
        XCTAssertEqual(try use(.f22, questions).likelierLayouts, f22, "f22", line: line)
        XCTAssertEqual(try use(.f21, questions).likelierLayouts, f21, "f21", line: line)
        XCTAssertEqual(try use(.s21, questions).likelierLayouts, s21, "s21", line: line)
    }

    func testWholeProgramsOfEachLayout() throws {
        let (all, some) = (Self.sweep, [UInt32(0), 0, 10])
        try check([(fc, some), (fd, some), (fe, all), (ff, all)], f22: [], f21: [.f22], s21: [.f22])
        try check([(ff, some), (fe, some), (fd, all), (fc, all)], f22: [.f21], f21: [], s21: [.f21])
        try check([(ff, some), (fe, all)], f22: [.s21], f21: [.s21], s21: [])
    }

    func testTotalsAskedInTheLoopOverTypes() throws {
        let all = Self.sweep
        try check([(fc, all), (fd, all), (fe, all), (ff, all)], f22: [], f21: [], s21: [.f22, .f21])
        try check([(fc, all), (fe, all)], f22: [], f21: [], s21: [.f22, .f21])
        // The types of f22, or the types and the totals of s21.
        try check([(fe, all), (ff, all)], f22: [], f21: [.f22, .s21], s21: [])
    }

    func testPartsOfPrograms() throws {
        let all = Self.sweep
        // The totals of f22, or a few types of f21.
        try check([(fc, [0]), (fd, [0])], f22: [], f21: [], s21: [.f22, .f21])
        try check([(fd, all)], f22: [.f21], f21: [], s21: [.f21])
        try check([(fe, all)], f22: [], f21: [.f22, .s21], s21: [])
        try check([(ff, all)], f22: [], f21: [.f22], s21: [.f22])
    }

    func testWhatCannotBeATypeIsATotal() throws {
        // Left over in ECX: an address.
        let leftover: [UInt32] = [0x7ffe_1230, 0xffff_ff00]
        try check([(ff, leftover)], f22: [.f21, .s21], f21: [], s21: [])
        try check([(ff, leftover), (fe, leftover)], f22: [.f21], f21: [], s21: [.f21])
        try check([(fc, leftover), (fd, leftover)], f22: [], f21: [.f22], s21: [.f22])
        // One of them may be one.
        try check([(ff, leftover + [10])], f22: [], f21: [], s21: [])
    }

    func testWeakEvidenceIsNone() throws {
        let few: [UInt32] = [10, 30, 48, 10, 30, 48]
        try check([(fe, few), (ff, few)], f22: [], f21: [], s21: [])
        try check([(ff, [0])], f22: [], f21: [], s21: [])
        try check([(fe, Array(0...6))], f22: [], f21: [], s21: [])
        try check([(fe, Array(0...7))], f22: [], f21: [.f22, .s21], s21: [])
        // Wide, and far from a question for each number.
        try check([(fe, [0, 9, 17, 30, 48, 69, 3, 4, 5, 6])], f22: [], f21: [], s21: [])
    }

    func testTallyOfSeveralVCPUs() throws {
        var (first, second) = (CounterLeafTally(), CounterLeafTally())
        first.ask(leaf: fc, ecx: 7)
        first.ask(leaf: fe, ecx: 9)
        second.ask(leaf: fe, ecx: 3)
        for leaf: UInt32 in [0, 0x4fff_fffb, 0x5000_0000, .max] { second.ask(leaf: leaf, ecx: 1) }
        let use = try XCTUnwrap(CounterLeafUse(layout: .s21, numbering: .svm, [first, second]))
        XCTAssertEqual(use.asked.map(\.leaf), [fc, fe])
        XCTAssertEqual(use.asked.map(\.count), [1, 2])
        XCTAssertEqual(use.asked.map(\.minimumECX), [7, 3])
        XCTAssertEqual(use.asked.map(\.maximumECX), [7, 9])
        XCTAssertNil(CounterLeafUse(layout: .f22, numbering: .sdm, [CounterLeafTally()]))
    }
}
