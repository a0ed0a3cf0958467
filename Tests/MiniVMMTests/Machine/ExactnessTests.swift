@testable import Counters
@testable import TestSupport
import XCTest

/// A guest that reads the total twice, with N OUTs in between, sees it rise by exactly N + 1.
final class ExactnessTests: XCTestCase {
    private static let counts: [UInt32] = [0, 1, 7, 1000]
    /// Tried with every trap in every mode and layout only if there is time for it.
    private static let greatCount: UInt32 = 100_000

    /// The counts to be tried with a trap and a layout in a mode.
    private static func counts(_ trap: CPUIDTrap, _ mode: ProcessorMode, _ leaves: CounterLeaves) -> [UInt32] {
        let isMainLayout = mode == .protected32 ? leaves == .f21 : leaves == .f22
        let isQuick = trap != .step && isMainLayout
        return isQuick || TestExtent.isExhaustive ? counts + [greatCount] : counts
    }

    func testDebugRegistersInRealMode() throws { try check(.debug, .real) }
    func testDebugRegistersInProtectedMode() throws { try check(.debug, .protected32) }
    func testDebugRegistersInLongMode() throws { try check(.debug, .long64) }
    func testPatchInRealMode() throws { try check(.patch, .real) }
    func testPatchInProtectedMode() throws { try check(.patch, .protected32) }
    func testPatchInLongMode() throws { try check(.patch, .long64) }
    func testStepInRealMode() throws { try check(.step, .real) }
    func testStepInProtectedMode() throws { try check(.step, .protected32) }
    func testStepInLongMode() throws { try check(.step, .long64) }

    private func check(_ trap: CPUIDTrap, _ mode: ProcessorMode) throws {
        try TestKVM.require(trap)
        for leaves in CounterLeaves.allCases {
            for count in Self.counts(trap, mode, leaves) {
                let run = try GuestRun(
                    mode.twoReadings(leaves), trap: trap, leaves: leaves, argument: count, prepare: mode.enter)
                guard case .halted = run.outcome.ending else {
                    return XCTFail("\(trap) \(mode) \(leaves) \(count): \(run.outcome.ending.summary)")
                }
                let before = try run.number(at: CounterGuests.results)
                let after = try run.number(at: CounterGuests.results + 4)
                XCTAssertEqual(before, 1, "\(trap) \(mode) \(leaves): the first exit is the question itself")
                XCTAssertEqual(after &- before, count + 1, "\(trap) \(mode) \(leaves): \(count) OUTs")
                checkBooks(run, outs: UInt64(count))
            }
        }
    }

    /// What was booked is what the guest did, and nothing else.
    private func checkBooks(_ run: GuestRun, outs: UInt64) {
        let total = run.outcome.statistics.total
        XCTAssertEqual(run.exits(.portOut), outs)
        XCTAssertEqual(run.exits(.cpuid), 2)
        XCTAssertEqual(run.exits(.hlt), 1)
        XCTAssertEqual(total.exits, outs + 3)
        XCTAssertEqual(total.kinds.reduce(0) { $0 + $1.exits }, total.exits)
        XCTAssertEqual(total.kinds.reduce(0) { $0 + $1.serviceCycles }, total.serviceCycles)
        for kind in total.kinds {
            XCTAssertLessThanOrEqual(kind.p50, kind.p99)
            XCTAssertLessThanOrEqual(kind.p99, kind.max)
            XCTAssertLessThanOrEqual(kind.max, kind.serviceCycles)
        }
    }
}
