import Glibc
@testable import TestSupport
import XCTest

/// Runs that end from outside: by --timeout or a signal, always with the statistics so far.
final class TimeLimitTests: KVMTestCase {
    func testTimeoutEndsAGuestThatNeverExits() throws {
        let recorded = try RecordedRun(["--guest", "spin", "--timeout", "0.2"])
        recorded.run.assertStatus(124)
        XCTAssertTrue("spinning\n".hasPrefix(recorded.run.outputText), recorded.run.outputText)
        XCTAssertEqual(recorded.run.errors, "minivmm: the timeout was reached.\n")
        XCTAssertEqual(recorded.ending, "timeout")
        XCTAssertEqual(recorded.record["outcome"]?["exit_status"]?.integer, 124)
        XCTAssertEqual(recorded.totalExits, Int64(recorded.run.output.count))
        // The time is that of the whole process, and the run's own a little less.
        let duration = try XCTUnwrap(recorded.record["duration_ns"]?.integer)
        XCTAssertGreaterThan(duration, 0)
        XCTAssertLessThan(duration, 400_000_000)
    }

    func testTimeoutShowsTheTable() throws {
        // The guest has to have exits to show, and a busy box takes most of a second to start it.
        let timeout = TestBed.isEmulated ? "5" : "0.2"
        let run = try CommandLineRun(["run", "--guest", "spin", "--timeout", timeout])
        run.assertStatus(124)
        XCTAssertTrue(run.errors.hasPrefix("minivmm: the timeout was reached.\n\nAn exit took "), run.errors)
        XCTAssertTrue(run.errors.contains("; the timeout was reached.\n"), run.errors)
    }

    func testTimeoutEndsAGuestThatExitsAllTheTime() throws {
        let image = try makeFolder().file("printer.bin", TinyGuest.printer)
        let recorded = try RecordedRun([image, "--timeout", "2"])
        recorded.run.assertStatus(124)
        // The write that the time-out comes upon may be given up.
        let missing = try XCTUnwrap(recorded.exits["io_out"]) - Int64(recorded.run.output.count)
        XCTAssertTrue((0...1).contains(missing), "\(missing)")
    }

    func testTimeoutDoesNotHoldUpAGuestThatEnds() throws {
        let recorded = try RecordedRun(["--guest", "hello", "--timeout", "100000000"])
        recorded.run.assertStatus(0)
        XCTAssertEqual(recorded.ending, "halted")
    }

    func testTimeoutBeforeTheFirstInstruction() throws {
        let recorded = try RecordedRun(["--guest", "spin", "--timeout", "1e-12"])
        recorded.run.assertStatus(124)
        XCTAssertTrue("spinning\n".hasPrefix(recorded.run.outputText), recorded.run.outputText)
    }

    func testInterrupt() throws { try checkSignal(SIGINT, status: 130) }
    func testTermination() throws { try checkSignal(SIGTERM, status: 143) }
    func testHangUp() throws { try checkSignal(SIGHUP, status: 129) }

    private func checkSignal(_ signal: Int32, status: Int32) throws {
        let folder = try makeFolder()
        let process = try RunningProcess(
            [
                MiniVMMExecutable.path(), "run", "--guest", "spin", "--stats", "json", "--stats-file",
                folder.path("stats.json"),
            ])
        try process.waitForOutput("spinning\n")
        try process.send(signal)
        let run = try CommandLineRun(of: process)
        run.assertStatus(status)
        XCTAssertEqual(run.errors, "minivmm: signal \(signal) ended the run.\n")
        let record = try JSONValue(folder.bytes("stats.json"))
        XCTAssertEqual(record["outcome"]?["kind"]?.string, "signal")
        XCTAssertEqual(record["outcome"]?["exit_status"]?.integer, Int64(status))
        XCTAssertEqual(record["total"]?["exits"]?.integer, 9)
    }
}
