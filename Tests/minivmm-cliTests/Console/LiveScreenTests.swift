import Glibc
@testable import TestSupport
import XCTest

/// `run --live` and `--interval` on a terminal of its own.
final class LiveScreenTests: KVMTestCase {
    private static let enter = "\u{1b}[?1049h"
    private static let leave = "\u{1b}[?25h\u{1b}[?1049l"

    /// A spinning guest with the view on a terminal of a size.
    private func start(
        _ options: [String] = [], columns: UInt16, rows: UInt16
    ) throws -> (child: ChildProcess, person: TerminalDialog, modes: [UInt8]) {
        let terminal = try PseudoTerminal()
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        XCTAssertEqual(ioctl(terminal.slave, UInt(TIOCSWINSZ), &size), 0)
        let modes = terminal.modes
        // A guest that exits all the time: the printer's output goes to /dev/null.
        let image = try makeFolder().file("printer.bin", TinyGuest.printer)
        let command = [try MiniVMMExecutable.path(), "run", image, "--live"] + options
        var spawn = try SpawnRequest(command, environment: ["TERM": "xterm", "NO_COLOR": "1"])
        try spawn.duplicate(terminal.slave, as: 0)
        try spawn.open("/dev/null", as: 1, flags: O_WRONLY)
        try spawn.duplicate(terminal.slave, as: 2)
        let child = try ChildProcess(&spawn)
        // The slave stays open here, so that the modes can be looked at when the child has gone.
        return (child, TerminalDialog(terminal), modes)
    }

    func testSizesAndKeys() throws {
        try TestBed.skipWhereEmulated()
        for (columns, rows): (UInt16, UInt16) in [(80, 24), (200, 50)] {
            let (child, person, modes) = try start(columns: columns, rows: rows)
            try person.expect(Self.enter)
            try person.expect(" exits  ")
            try person.expect("printer.bin")
            try person.expect("io_out")
            // A wide screen has room for bars.
            if columns == 200 { try person.expect("##########") }
            person.type("v")
            try person.expect("vCPU 0")
            person.type("s")
            try person.expect("[s]ort: exits")
            person.type("d")
            try person.expect("about")
            try person.expect("io_out  port 0xe9 (")
            person.type("c")
            try person.expect("io_out  0x")
            person.type("p")
            try person.expect("PAUSED")
            // Resized in mid-run: it is drawn anew, no wider than it is.
            var small = winsize(ws_row: 3, ws_col: 20, ws_xpixel: 0, ws_ypixel: 0)
            XCTAssertEqual(ioctl(person.terminal.slave, UInt(TIOCSWINSZ), &small), 0)
            try person.expect("[k]inds  [d]etails  \u{1b}[K")
            person.type("q")
            try person.expect(Self.leave)
            try person.expect("An exit took ")
            XCTAssertEqual(try child.waitForEnd(), .exited(0))
            XCTAssertEqual(person.terminal.modes, modes)
        }
    }

    func testTheTerminalIsGivenBackHoweverItEnds() throws {
        try TestBed.skipWhereEmulated()
        for (signal, status) in [(SIGTERM, 143), (SIGHUP, 129), (SIGINT, 130)] as [(Int32, Int32)] {
            let (child, person, modes) = try start(["--stats", "none"], columns: 80, rows: 24)
            try person.expect("io_out")
            try child.send(signal)
            try person.expect(Self.leave)
            XCTAssertEqual(try child.waitForEnd(), .exited(status))
            XCTAssertEqual(person.terminal.modes, modes)
        }
        // Signals of a crash, which nobody waits for.
        let (child, person, modes) = try start(["--stats", "none"], columns: 80, rows: 24)
        try person.expect("io_out")
        try child.send(SIGSEGV)
        try person.expect(Self.leave)
        guard case .signaled? = try child.waitForEnd() else { return XCTFail("it ended otherwise") }
        XCTAssertEqual(person.terminal.modes, modes)
    }

    func testWhereThereIsNoScreen() throws {
        try TestBed.skipWhereEmulated()
        let run = try CommandLineRun(["run", "--guest", "hello", "--live"])
        run.assertStatus(64)
        XCTAssertTrue(run.errors.contains("--live shows a screen on standard error, which is no terminal."), run.errors)
        for options in [["--interval", "1"], ["--interval-file", "f"], ["--interval", "0", "--interval-file", "f"]] {
            try CommandLineRun(["run", "--guest", "hello"] + options).assertStatus(64)
        }
    }

    /// The file is emptied at once: it is no other one of the run.
    func testTheFileOfIntervalsIsNoOther() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let image = try folder.file("g.bin", TinyGuest.letter)
        let interval = ["--interval", "1", "--interval-file"]
        try CommandLineRun(["run", image] + interval + [image]).assertStatus(64)
        XCTAssertEqual(try folder.bytes("g.bin"), TinyGuest.letter)
        let report = folder.path("r.json")
        try CommandLineRun(["run", image, "--report", report] + interval + [report]).assertStatus(64)
    }

    /// The lines add up to the run; they are there while it goes on, and the last is of what is left.
    func testIntervalsAddUp() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let path = folder.path("lines")
        let run = try CommandLineRun([
            "run", "--guest", "counters", "--stats", "json", "--interval", "0.01", "--interval-file", path,
        ])
        run.assertStatus(0)
        let lines = try folder.bytes("lines").split(separator: UInt8(ascii: "\n")).map { try JSONValue(Array($0)) }
        let schema = try JSONSchema(file: "run-interval.schema.json")
        for line in lines { XCTAssertEqual(schema.problems(of: line), []) }
        XCTAssertEqual(
            lines.reduce(0) { $0 + ($1["exits"]?.integer ?? 0) },
            try JSONValue(Array(run.errors.utf8))["total"]?["exits"]?.integer)
        let full = try CommandLineRun([
            "run", "--guest", "counters", "--stats", "none", "--interval", "9", "--interval-file", "/dev/full",
        ])
        full.assertStatus(74)
    }
}
