@testable import TestSupport
import XCTest

/// Standard output holds the guest's console and nothing else, whoever reads it, or does not.
final class ConsoleTests: KVMTestCase {
    /// The bytes of the line that `hello` prints. It is written when it is complete; on a slow KVM, part of it earlier.
    private static let helloLength: Int64 = 22

    func testStandardOutputIsTheGuestsAlone() throws {
        for options in [
            [], ["--stats", "table", "--per-vcpu"], ["--stats", "json"], ["--stats", "none"],
            ["--log-level", "trace", "--cpuid-trap", "auto"],
        ] {
            let run = try CommandLineRun(["run", "--guest", "hello"] + options)
            run.assertStatus(0)
            XCTAssertEqual(run.outputText, "Hello from real mode!\n", "\(options)")
        }
    }

    func testEveryByteArrives() throws {
        let image = try makeFolder().file("printer.bin", TinyGuest.printer)
        // More than a pipe holds.
        let recorded = try RecordedRun([image, "--argument", "70000"])
        recorded.run.assertStatus(0)
        XCTAssertEqual(recorded.run.output, [UInt8](repeating: UInt8(ascii: "x"), count: 70_000))
        XCTAssertEqual(recorded.exits, ["io_out": 70_000, "hlt": 1])
    }

    func testReaderThatClosesThePipeEndsTheRun() throws {
        let image = try makeFolder().file("printer.bin", TinyGuest.printer)
        let recorded = try RecordedRun([image], output: .closedAfter(10))
        try checkLostConsole(recorded, because: "EPIPE: Broken pipe")
        let exits = try XCTUnwrap(recorded.totalExits)
        XCTAssertGreaterThanOrEqual(exits, 11)
    }

    /// A directory as standard input, which can be opened and not be read.
    func testInputThatCannotBeRead() throws {
        try TestBed.skipWhereEmulated()
        // Asks the serial port for input some thousand times.
        let image = try makeFolder().file(
            "asks.bin",
            [
                0xb9, 0xff, 0xff,  // mov cx, 0xffff
                0xba, 0xfd, 0x03,  // mov dx, 0x3fd
                0xec,  // in al, dx: the line status
                0xe2, 0xfd,  // loop to the in
                0xf4,  // hlt
            ])
        let run = try CommandLineRun(["run", image, "--stats", "none"], input: "/tmp")
        run.assertStatus(74)
        XCTAssertTrue(run.errors.contains("Standard input cannot be read (EISDIR: "), run.errors)
        try CommandLineRun(["run", image, "--stats", "none"]).assertStatus(0)
    }

    func testFullDiskEndsTheRun() throws {
        let recorded = try RecordedRun(["--guest", "hello"], output: .file("/dev/full"))
        try checkLostConsole(recorded, because: "ENOSPC: No space left on device")
        try checkOneLineAtMost(recorded)
    }

    /// The guest got no further than its line's end, where it would have halted.
    private func checkOneLineAtMost(_ recorded: RecordedRun) throws {
        XCTAssertEqual(recorded.exits.keys.sorted(), ["io_out"])
        XCTAssertLessThanOrEqual(try XCTUnwrap(recorded.exits["io_out"]), Self.helloLength)
    }

    private func checkLostConsole(_ recorded: RecordedRun, because reason: String) throws {
        recorded.run.assertStatus(74)
        XCTAssertEqual(
            recorded.run.errors,
            """
            minivmm: The guest's console output cannot be written (\(reason)).
            Check where standard output goes: whether its reader still runs, or what space is left.

            """)
        XCTAssertEqual(recorded.ending, "failed")
        XCTAssertEqual(recorded.record["outcome"]?["exit_status"]?.integer, 74)
        XCTAssertEqual(
            recorded.record["outcome"]?["summary"]?.string,
            "MiniVMM could not go on: The guest's console output cannot be written (\(reason))")
    }

    func testTimeoutEndsARunWhoseConsoleNobodyReads() throws {
        let recorded = try RecordedRun(["--guest", "hello", "--timeout", "3"], output: .unread)
        recorded.run.assertStatus(124)
        XCTAssertEqual(recorded.ending, "timeout")
        try checkOneLineAtMost(recorded)
    }
}
