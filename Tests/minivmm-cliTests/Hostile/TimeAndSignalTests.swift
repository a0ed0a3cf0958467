import Glibc
@testable import TestSupport
import XCTest

/// The time limit and signals hold from the first instruction to the last.
final class TimeAndSignalTests: KVMTestCase {
    private func pipe(_ folder: TemporaryFolder, _ name: String) throws -> String {
        let path = folder.path(name)
        XCTAssertEqual(mkfifo(path, 0o600), 0)
        return path
    }

    private func assertEnds(
        _ process: RunningProcess, within limit: Duration, _ status: Int32, line: UInt = #line
    ) throws {
        let start = ContinuousClock.now
        let end = try process.finish()
        XCTAssertLessThan(start.duration(to: .now), limit, line: line)
        XCTAssertEqual(end, .exited(status), line: line)
    }

    func testPipesThatNobodyOpens() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let program = try MiniVMMExecutable.path()
        let fifo = try pipe(folder, "fifo")
        let report = try pipe(folder, "report.json")
        for arguments in [
            ["run", fifo], ["run", "--guest", "hello", "--report", report],
            ["exec", "--kernel", fifo, "--", "/bin/true"],
            ["exec", "--kernel", "/none", "--report", report, "--", "/bin/true"],
        ] {
            let words = arguments.prefix(1) + ["--timeout", "0.5"] + arguments.dropFirst()
            try assertEnds(RunningProcess([program] + words, limit: 20), within: .seconds(4), 124)
            let process = try RunningProcess([program] + arguments, limit: 20)
            usleep(200_000)
            try process.send(SIGTERM)
            let start = ContinuousClock.now
            XCTAssertEqual(try process.finish(), .signaled(SIGTERM), "\(arguments)")
            XCTAssertLessThan(start.duration(to: .now), .seconds(1))
        }
    }

    /// Standard output and standard error are one pipe that nobody reads, and the guest floods its console.
    func testOutputThatNobodyReads() throws {
        let image = try makeFolder().file("printer.bin", TinyGuest.printer)
        let program = try MiniVMMExecutable.path()
        let command = { (arguments: String) in
            ["/bin/sh", "-c", "exec \"$0\" run \"$1\" \(arguments) 2>&1", program, image]
        }
        try assertEnds(
            RunningProcess(command("--timeout 0.5"), output: .unread, limit: 20), within: .seconds(4), 124)
        let process = try RunningProcess(command(""), output: .unread, limit: 20)
        usleep(300_000)
        try process.send(SIGTERM)
        let start = ContinuousClock.now
        let end = try process.finish()
        XCTAssertLessThan(start.duration(to: .now), .seconds(2))
        // On a slow machine the run may not have begun.
        XCTAssertTrue([.exited(143), .signaled(SIGTERM)].contains(end), "\(end)")
    }

    /// One SIGTERM at any moment: before, during and after the run. Where Linux does not boot, exec comes as far as having
    /// the guest's files together.
    func testASignalAtAnyMoment() throws {
        let program = try MiniVMMExecutable.path()
        let folder = try makeFolder()
        let slow = try folder.file("printer.bin", TinyGuest.printer)
        let kernel = try folder.file("kernel", SampleBzImage().bytes)
        var generator = SeededGenerator(seed: 15)
        for index in 0..<TestExtent.of(60, exhaustive: 400) {
            let arguments = [
                ["run", "--guest", "hello", "--report", folder.path("r.html")],
                ["exec", "--kernel", "/none", "--", "/bin/sh"],
                ["run", slow, "--stats", "json"],
                ["exec", "--kernel", kernel, "--report", folder.path("r.json"), "--", "/bin/sh"],
            ][index % 4]
            let process = try RunningProcess([program] + arguments, limit: 20)
            usleep(UInt32.random(in: 0..<120_000, using: &generator))
            let start = ContinuousClock.now
            try? process.send(SIGTERM)
            let end = try process.finish()
            XCTAssertLessThan(start.duration(to: .now), .seconds(1))
            // It ended by itself, was ended with its statistics, or at once. The kernel is none that a guest boots from.
            let ends: [ProcessEnd] = [
                .exited(0), .exited(1), .exited(66), .exited(69), .exited(143), .signaled(SIGTERM),
            ]
            XCTAssertTrue(ends.contains(end), "\(end)")
        }
        // Nothing is left beside the reports.
        XCTAssertEqual(try folder.names().filter { $0.hasPrefix(".") }, [])
    }
}

/// The same where Linux boots, from the start of the process to the end of the program and beyond.
final class ExecSignalTests: ExecTestCase {
    func testASignalAtAnyMoment() throws {
        let folder = try makeFolder()
        let arguments = ["--report", folder.path("r.json"), "--", "/bin/true"]
        let start = ContinuousClock.now
        try exec(arguments).assertStatus(0)
        let microseconds = start.duration(to: .now) / .microseconds(1)
        var generator = SeededGenerator(seed: 16)
        for _ in 0..<TestExtent.of(3, exhaustive: 200) {
            let process = try startExec(arguments)
            usleep(UInt32.random(in: 0..<UInt32(microseconds * 1.1), using: &generator))
            let sent = ContinuousClock.now
            try? process.send(SIGTERM)
            let end = try process.finish()
            // Where the processor is emulated, a second is not much.
            XCTAssertLessThan(sent.duration(to: .now), .seconds(5))
            XCTAssertTrue([.exited(0), .exited(143), .signaled(SIGTERM)].contains(end), "\(end)")
        }
        XCTAssertEqual(try folder.names().filter { $0.hasPrefix(".") }, [])
    }
}
