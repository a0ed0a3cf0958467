@testable import Boot
@testable import Counters
@testable import Host
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// The guests that come with MiniVMM do what their summaries say.
final class BuiltInGuestTests: XCTestCase {
    private func run(_ name: String, trap: CPUIDTrap = .auto, leaves: CounterLeaves = .f22, argument: UInt32 = 0) throws
        -> GuestRun
    {
        let guest = try XCTUnwrap(BuiltInGuest(named: name))
        return try GuestRun(guest.image, trap: trap, leaves: leaves, argument: argument)
    }

    func testHello() throws {
        let run = try run("hello")
        XCTAssertEqual(run.console, "Hello from real mode!\n")
        XCTAssertEqual(run.outcome.statistics.total.exits, 23)
        XCTAssertEqual(run.outcome.trap, .none, "a guest without CPUID needs no trap")
    }

    func testCountersAgreesWithItselfUnderEveryTrapAndLayout() throws {
        for trap in [CPUIDTrap.auto] + (try TestKVM.workingTraps()) {
            for (leaves, argument) in [(CounterLeaves.f22, UInt32(0)), (.f21, 21), (.s21, 121)] {
                let run = try run("counters", trap: trap, leaves: leaves, argument: argument)
                guard case .exitPort(0) = run.outcome.ending else {
                    return XCTFail("\(trap) \(leaves): \(run.outcome.ending.summary)\n\(run.console)")
                }
                XCTAssertTrue(run.console.hasSuffix("\nOK\n"))
                // Three for the total, two of the work, and two readings of eight or four questions.
                XCTAssertEqual(run.exits(.cpuid), leaves == .s21 ? 13 : 21)
                XCTAssertEqual(run.outcome.counterLeaves?.likelierLayouts, [])
                XCTAssertEqual(run.exits(.mmioRead), 3)
                XCTAssertEqual(run.exits(.mmioWrite), 4)
                XCTAssertEqual(run.exits(.portIn), 5)
            }
        }
    }

    func testCountersFindsAWrongLayout() throws {
        // It is told of one and finds another: its own check must notice.
        for (leaves, argument) in [(CounterLeaves.f22, UInt32(21)), (.f22, 121), (.f21, 121), (.s21, 0), (.s21, 21)] {
            let run = try run("counters", leaves: leaves, argument: argument)
            guard case .exitPort(1) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
            XCTAssertTrue(run.console.hasSuffix("MISMATCH\n"))
        }
    }

    func testStorm() throws {
        let run = try run("storm", argument: 1234)
        XCTAssertEqual(run.exits(.portOut), 1234)
        XCTAssertEqual(run.outcome.statistics.total.exits, 1235)
    }

    func testMMIO() throws {
        let run = try run("mmio")
        guard case .exitPort(0) = run.outcome.ending else { return XCTFail(run.console) }
        XCTAssertEqual(run.exits(.mmioRead), 6)
        XCTAssertEqual(run.exits(.mmioWrite), 6)
    }

    func testStringIO() throws {
        let run = try run("string-io")
        guard case .exitPort(0) = run.outcome.ending else { return XCTFail(run.console) }
        XCTAssertTrue(run.console.hasSuffix("OK\n"))
    }

    func testBootSector() throws {
        let run = try run("boot-sector")
        XCTAssertEqual(run.console, "Hello from a boot sector!\r\n")
        XCTAssertEqual(run.outcome.ending.exitStatus, .success)
    }

    func testNamesAreUniqueAndSummariesShort() {
        let guests = BuiltInGuest.all
        XCTAssertEqual(Set(guests.map(\.name)).count, guests.count)
        for guest in guests {
            XCTAssertEqual(BuiltInGuest(named: guest.name), guest)
            XCTAssertLessThanOrEqual(guest.summary.count, 70)
            XCTAssertFalse(guest.image.isEmpty)
        }
        XCTAssertNil(BuiltInGuest(named: "no such guest"))
    }
}
