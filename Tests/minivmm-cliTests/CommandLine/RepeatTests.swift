import Glibc
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// `--repeat` and `--warmup`.
final class RepeatTests: KVMTestCase {
    func testAllRunsInOneReport() throws {
        let folder = try makeFolder()
        let run = try CommandLineRun([
            "run", "--guest", "hello", "--repeat", "3", "--warmup=1", "--report", folder.path("r.json"), "--stats",
            "json", "--top", "3",
        ])
        run.assertStatus(0)
        XCTAssertEqual(run.outputText, String(repeating: "Hello from real mode!\n", count: 4))
        let file = try JSONValue(folder.bytes("r.json"))
        XCTAssertEqual(try JSONSchema(file: "runs.schema.json").problems(of: file), [])
        XCTAssertEqual(file["runs"]?.elements.map { $0["total"]?["exits"]?.integer }, [23, 23, 23])
        XCTAssertEqual(file["warmup"]?.integer, 1)
        XCTAssertEqual(file["runs"]?[0]?["places"]?["places"]?.elements.isEmpty, false)
        XCTAssertEqual(try JSONValue(Array(run.errors.utf8)), file)
        let gate = try CommandLineRun(
            ["compare", folder.path("r.json"), folder.path("r.json"), "--fail-if", "exits!=+0"])
        gate.assertStatus(0)
        XCTAssertTrue(gate.outputText.contains(", 3 runs, "), gate.outputText)
    }

    func testTableAndStatus() throws {
        try TestBed.skipWhereEmulated()
        let run = try CommandLineRun(["run", "--guest", "counters", "--repeat", "2"])
        run.assertStatus(0)
        XCTAssertTrue(run.errors.contains("\n2 runs: "), run.errors)
        XCTAssertTrue(run.errors.contains(#/\ncpuid +21 +=/#), run.errors)
        // The first status that is not 0; and where there is no report, no second run.
        let image = try makeFolder().file("g.bin", [0xb0, 0x05, 0xe6, 0xf4])  // mov al, 5; out 0xf4, al
        try CommandLineRun(["run", image, "--repeat", "2", "--stats", "none"]).assertStatus(5)
        let none = try CommandLineRun(["run", "--guest", "hello", "--repeat", "3", "--kvm-device", "/none"])
        none.assertStatus(69)
        XCTAssertEqual(none.errors.components(separatedBy: "/none does not exist").count, 2, none.errors)
    }

    /// A run is confined as any other, and its guest has no standard input of this one.
    func testRunsAreThoseOfAShell() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let input = try folder.file("in", Array("typed".utf8))
        let run = try CommandLineRun(
            ["run", "--guest", "echo", "--repeat", "2", "--stats", "none", "--timeout", "5"], input: input)
        XCTAssertFalse(run.outputText.contains("typed"), run.outputText)
    }

    func testASignalEndsTheRunsAndKeepsThoseThatAreDone() throws {
        try TestBed.skipWhereEmulated()
        let process = try RunningProcess([
            MiniVMMExecutable.path(), "run", "--guest", "spin", "--repeat", "9", "--stats", "json",
        ])
        try process.waitForOutput("spinning")
        try process.send(SIGTERM)
        XCTAssertEqual(try process.finish(), .exited(143))
        XCTAssertFalse(String(decoding: process.output, as: UTF8.self).contains("spinning\nspinning"))
    }

    func testProgressOnATerminal() throws {
        try TestBed.skipWhereEmulated()
        let terminal = try PseudoTerminal()
        let command = [try MiniVMMExecutable.path(), "run", "--guest", "hello", "--repeat", "2", "--warmup", "1"]
        var spawn = try SpawnRequest(command, environment: ["TERM": "xterm", "NO_COLOR": "1"])
        for target in 0..<3 as Range<Int32> { try spawn.duplicate(terminal.slave, as: target) }
        let child = try ChildProcess(&spawn)
        terminal.leave()
        let person = TerminalDialog(terminal)
        for words in ["warm-up run 1 of 1", "run 1 of 2", "run 2 of 2", "2 runs after 1 to warm up: "] {
            try person.expect(words)
        }
        XCTAssertEqual(try child.waitForEnd(), .exited(0))
    }

    func testWhatCannotBeRepeated() throws {
        try TestBed.skipWhereEmulated()
        for (options, words) in [
            (["--repeat", "0"], "--repeat takes a number from 1 to 10000"), (["--repeat", "10001"], "--repeat takes"),
            (["--warmup", "2"], "--warmup needs --repeat."), (["--repeat", "2", "--warmup=-1"], "--warmup takes"),
            (["--repeat", "2", "--trace", "t.json"], "--trace is for one run"),
            (["--repeat", "2", "--profile", "p"], "--profile is for one run"),
            (["--repeat", "2", "--gdb", "1234"], "--gdb is for one run"),
            (["--repeat", "2", "--report", "r.html"], "--report takes a file whose name ends in .json"),
        ] {
            let run = try CommandLineRun(["run", "--guest", "hello"] + options)
            run.assertStatus(64)
            XCTAssertTrue(run.errors.contains(words), run.errors)
        }
        try CommandLineRun(["run", "-", "--repeat", "2"]).assertStatus(64)
        try CommandLineRun(["exec", "--repeat", "2", "--trace", "t.json", "--", "true"]).assertStatus(64)
    }

    func testWordsOfOneRun() {
        func words(_ line: String) -> String {
            CommandWords.forOneRun(line.split(separator: " ").map { Array($0.utf8) }, recordTo: "R")
                .map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
        }
        let own = "--stats json --stats-file R"
        XCTAssertEqual(
            words("run --repeat 3 g.bin --stats none --warmup=1 --top 3 --report a.json"), "run \(own) g.bin --top 3")
        XCTAssertEqual(
            words("exec --repeat 3 --env A=b -- prog --repeat 4 --stats x"),
            "exec \(own) --env A=b -- prog --repeat 4 --stats x")
        XCTAssertEqual(
            words("exec --repeat=3 --kernel-log prog --warmup 1"), "exec \(own) --kernel-log prog --warmup 1")
    }
}
