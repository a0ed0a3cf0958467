@testable import TestSupport
@testable import minivmm_cli
@testable import Boot
@testable import Counters
@testable import Host
import XCTest

/// `--pin`: vCPUs stay on the CPUs that were asked for.
final class PinningTests: KVMTestCase {
    func testTheGuestRunsOnTheCPUsThatThereAre() throws {
        let usable = try CPUList.usable()
        let guest = try XCTUnwrap(BuiltInGuest(named: "smp"))
        let run = try GuestRun(guest.image, trap: .auto, cpus: 3, pinnedCPUs: usable)
        guard case .exitPort(0) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
    }

    func testAThreadIsPinned() throws {
        let usable = try CPUList.usable()
        let last = try XCTUnwrap(usable.numbers.last)
        let list = try XCTUnwrap(CPUList(numbers: [last]))
        let seen = Seen()
        let thread = try PosixThread(name: "pinned") {
            try? list.pinThread(ofVCPU: 5)
            seen.set(try? CPUList.usable())
        }
        thread.join()
        XCTAssertEqual(seen.list, list)
    }

    func testACPUThatIsNotThereIsAnError() throws {
        let usable = try CPUList.usable()
        let missing = try XCTUnwrap((0..<CPUList.numberLimit).first { !usable.numbers.contains($0) })
        let list = try XCTUnwrap(CPUList(numbers: [missing]))
        XCTAssertThrowsError(try GuestRun(TinyGuest.letter, pinnedCPUs: list)) { error in
            XCTAssertEqual(error as? CPUPinningError, .notUsable(cpu: missing, usable: usable))
            XCTAssertTrue((error as? any CommandError)?.remedy == "Choose from \(usable) with --pin.")
        }
        let run = try CommandLineRun(["run", "--guest", "hello", "--pin", "\(missing)"])
        XCTAssertEqual(run.end, .exited(64))
        XCTAssertTrue(run.errors.contains("This host has no CPU \(missing)"), run.errors)
    }

    func testWhatIsNoListIsAUsageError() throws {
        try TestBed.skipWhereEmulated()
        let run = try CommandLineRun(["run", "--guest", "hello", "--pin", "1-"])
        XCTAssertEqual(run.end, .exited(64))
    }
}

/// A list that one thread leaves and another reads after joining it.
private final class Seen: @unchecked Sendable {
    // Sound to call Sendable: read only after the thread that writes was joined.
    private(set) var list: CPUList?

    func set(_ list: CPUList?) {
        self.list = list
    }
}
