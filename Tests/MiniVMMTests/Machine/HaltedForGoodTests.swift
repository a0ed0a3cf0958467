@testable import Boot
@testable import Counters
@testable import Host
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Where KVM has the interrupt controllers, a guest that has halted for good has ended, and one that can be woken has
/// not.
final class HaltedForGoodTests: KVMTestCase {
    /// What ends a guest that halted for good was found in milliseconds; this is for a busy host.
    private static let limit = Duration.seconds(10)

    private func assertHalted(_ code: [UInt8], cpus: Int, line: UInt = #line) throws {
        let run = try GuestRun(code, cpus: cpus, timeout: Self.limit)
        XCTAssertEqual(run.outcome.ending.name, "halted", "\(cpus)", line: line)
        XCTAssertEqual(run.outcome.statistics.total.exits, 0, "\(cpus): HLT is KVM's, and kicks are none", line: line)
    }

    func testCPUsThatNobodyStarted() throws {
        for cpus in [2, 4] { try assertHalted(HaltingGuests.forGood, cpus: cpus) }
    }

    func testAllCPUs() throws {
        for cpus in [2, 4] { try assertHalted(SeveralCPUGuests.allHalt, cpus: cpus) }
    }

    func testWhatItPrintedIsThereAndItsExitsAreItsOwn() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "hello"))
        let text = try GuestRun(guest.image).console
        let run = try GuestRun(guest.image, cpus: 4, timeout: Self.limit)
        XCTAssertEqual(run.outcome.ending.name, "halted")
        XCTAssertEqual(run.console, text)
        XCTAssertEqual(run.outcome.statistics.total.exits, run.exits(.portOut))
        XCTAssertEqual(run.exits(.portOut), UInt64(text.utf8.count))
    }

    func testSingleSteps() throws {
        try TestKVM.require(.step)
        let run = try GuestRun(HaltingGuests.forGood, trap: .step, cpus: 2, timeout: Self.limit)
        XCTAssertEqual(run.outcome.ending.name, "halted")
    }

    /// Runs a guest that ends with status 7 when it was woken.
    private func assertIsWoken(_ code: [UInt8], line: UInt = #line) throws {
        let run = try GuestRun(code, cpus: 2, timeout: Self.limit)
        if case .timeout = run.outcome.ending, HostDescription.current.processor?.contains("QEMU TCG") == true {
            throw XCTSkip("QEMU loses interrupts of nested guests that halt")
        }
        guard case .exitPort(7) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary, line: line) }
        XCTAssertEqual(run.outcome.statistics.total.exits, 1, line: line)
    }

    func testATimerWakesAGuestWithInterruptsOn() throws { try assertIsWoken(HaltingGuests.timer) }

    func testATimerWakesAGuestByNMI() throws { try assertIsWoken(HaltingGuests.timerByNMI) }

    func testAnotherCPUWakesOneByNMI() throws { try assertIsWoken(SeveralCPUGuests.bootProcessorWaitsForNMI) }

    func testAnIdleGuestIsKickedLessAndLess() throws {
        let run = try GuestRun(HaltingGuests.idle, cpus: 2, timeout: .milliseconds(1500))
        XCTAssertEqual(run.outcome.ending.name, "timeout")
        XCTAssertEqual(run.outcome.statistics.total.exits, 0)
        // Each of the two vCPUs is kicked after 4, 12, 28, 60, 124, 252, 508 and 1020 ms, and at the end; on a busy host
        // fewer times, or once more at one pace. Every 64 ms would be 46 kicks.
        let kicks = run.outcome.statistics.total.internalExits
        XCTAssertTrue((6...30).contains(kicks), "\(kicks)")
    }
}
