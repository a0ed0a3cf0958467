import CKVM
@testable import Host
@testable import TestSupport
import XCTest

@testable import minivmm_cli

/// The options that let a debugger in.
final class DebuggerOptionTests: KVMTestCase {
    func testAddresses() {
        XCTAssertEqual(LocalAddress("1234"), .port(1234))
        XCTAssertEqual(LocalAddress("0"), .port(0))
        XCTAssertEqual(LocalAddress("unix:/tmp/gdb"), .path("/tmp/gdb"))
        for wrong in ["", "65536", "-1", "+1", "unix:", ":1234", "0.0.0.0:1234", "1234 "] {
            XCTAssertNil(LocalAddress(wrong), wrong)
        }
    }

    func testWhatIsNoAddressIsAUsageError() throws {
        try TestBed.skipWhereEmulated()
        for arguments in [["--gdb", "0.0.0.0:1234"], ["--gdb-wait"]] {
            let run = try CommandLineRun(["run", "--guest", "hello"] + arguments)
            XCTAssertEqual(run.end, .exited(64), run.errors)
        }
    }

    func testAPortThatIsTaken() throws {
        let listener = try LocalListener(at: .port(0))
        let port = try XCTUnwrap(listener.place.split(separator: ":").last)
        let run = try CommandLineRun(["run", "--guest", "hello", "--gdb", String(port)])
        XCTAssertEqual(run.end, .exited(64))
        XCTAssertTrue(run.errors.contains("Port \(port) cannot be listened at (EADDRINUSE"), run.errors)
        XCTAssertTrue(run.errors.contains("Choose another port with --gdb, or 0 for any that is free."), run.errors)
    }

    func testAPathThatCannotBe() throws {
        let path = "/nowhere/" + String(repeating: "x", count: 200)
        let run = try CommandLineRun(["run", "--guest", "hello", "--gdb", "unix:" + path])
        XCTAssertEqual(run.end, .exited(64))
        XCTAssertTrue(run.errors.contains("ENAMETOOLONG"), run.errors)
    }

    func testATrapThatNeedsTheDebugRegisters() throws {
        let run = try CommandLineRun(["run", "--guest", "counters", "--gdb", "0", "--cpuid-trap", "debug"])
        XCTAssertEqual(run.end, .exited(64))
        XCTAssertTrue(run.errors.contains("Use --cpuid-trap auto, patch, fault or none with --gdb."), run.errors)
    }

    /// Nobody comes, and the guest runs as ever.
    func testAGuestThatNobodyDebugs() throws {
        let run = try CommandLineRun(["run", "--guest", "hello", "--gdb", "0", "--stats", "none"])
        run.assertStatus(0)
        XCTAssertTrue(run.errors.hasPrefix("minivmm: GDB may connect: target remote 127.0.0.1:"), run.errors)
    }

    /// Somebody who never comes: the time is up all the same.
    func testAGuestThatWaitsForNobody() throws {
        let run = try CommandLineRun([
            "run", "--guest", "hello", "--gdb", "0", "--gdb-wait", "--timeout", "0.1", "--stats", "none",
        ])
        XCTAssertEqual(run.end, .exited(124), run.errors)
        XCTAssertEqual(run.outputText, "")
    }
}
