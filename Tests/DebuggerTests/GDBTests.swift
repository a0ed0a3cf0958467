import Foundation
@testable import TestSupport
import XCTest

@testable import Counters
@testable import Debugger
@testable import MiniVMM

/// GDB itself, driven by scripts.
final class GDBTests: KVMTestCase {
    private static let gdb = "/usr/bin/gdb"

    override func setUpWithError() throws {
        try super.setUpWithError()
        guard access(Self.gdb, X_OK) == 0 else { throw XCTSkip("there is no \(Self.gdb) here (apt-get install gdb)") }
    }

    /// A command line that carries out GDB's commands, one after the other.
    private func command(_ listener: LocalListener, _ commands: [String]) -> [String] {
        let all = ["set pagination off", "set confirm off", "target remote \(listener.place)"] + commands
        return [Self.gdb, "-nx", "-batch"] + all.flatMap { ["-ex", $0] }
    }

    /// What GDB says. `lines` are looked for in order.
    private func talk(
        _ run: DebuggedMachine, _ commands: [String], says lines: [String], monitor: String = "",
        file: StaticString = #filePath,
        line: UInt = #line
    ) throws {
        let gdb = try CommandLineRun(command: command(run.listener, commands))
        assertSays(gdb, lines, file: file, line: line)
        // What `monitor` says, GDB writes to standard error.
        XCTAssertTrue(monitor.isEmpty || gdb.errors.contains(monitor), gdb.errors, file: file, line: line)
    }

    private func assertSays(_ gdb: CommandLineRun, _ lines: [String], file: StaticString, line: UInt) {
        XCTAssertEqual(gdb.end, .exited(0), gdb.errors, file: file, line: line)
        var rest = gdb.outputText[...]
        for text in lines {
            guard let range = rest.range(of: text) else {
                return XCTFail("no `\(text)` in\n\(gdb.outputText)\n\(gdb.errors)", file: file, line: line)
            }
            rest = rest[range.upperBound...]
        }
    }

    func testBreakpointsInEveryMode() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        try talk(
            run,
            [
                "show architecture", "hbreak *0x7c0a", "break *0x7c33", "break *0x7c8c",
                "continue", "x/2i $pc", "print/x *(int *) 0x7cc0",
                "set architecture i386", "continue", "x/2i $pc", "print/x $cr0 & 1",
                "set architecture auto", "continue", "print/x $efer", "delete", "disconnect",
                "target remote \(run.listener.place)", "show architecture", "x/2i $pc", "print $rcx",
                "print/x $cr3", "print/x $fctrl", "break *0x7c8c", "continue", "print *(int *) 0x7cc0",
                "info threads", "monitor exits", "detach",
            ],
            says: [
                "\"i8086\"", "Breakpoint 1,", "=> 0x7c0a:\tout    %al,$0x80", "lgdtl", "= 0x1",
                "Breakpoint 2,", "=> 0x7c33:\tout    %al,$0x80", "movl   $0x11003,0x10000", "= 0x1",
                "Breakpoint 3,", "= 0x500", "\"i386:x86-64\"", "=> 0x7c8c:\tout    %al,$0x80", "= 1000",
                "= 0x10000", "= 0x37f", "Breakpoint 4,", "= 4",
                "Thread 1 (vCPU 0, 64-bit mode)", "detached]",
            ], monitor: "io_out                         1 exits")
        let outcome = try run.finish()
        XCTAssertEqual(outcome.ending.name, "halted")
        XCTAssertEqual(outcome.statistics.total.exits, 1003)
    }

    func testAVariableIsWatched() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        try talk(
            run, ["watch *(int *) 0x7cc0", "continue", "continue", "delete", "continue"],
            says: [
                "Hardware watchpoint 1", "Old value = 0", "New value = 1", "Old value = 1", "New value = 2",
                "exited normally]",
            ])
        XCTAssertEqual(try run.finish().statistics.total.exits, 1003)
    }

    /// Where no debug register can watch memory, a read cannot be found: GDB is told so, and the guest goes on when the
    /// point is gone.
    func testReadsAreWatchedOrRefused() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let canWatch = try TestKVM.shared().debugSupport().watchpoints
        let gdb = try CommandLineRun(
            command: command(
                run.listener, ["awatch *(int *) 0x7cc0", "continue", "print/x $pc", "delete", "continue"]))
        if canWatch {
            assertSays(
                gdb, ["Hardware access (read/write) watchpoint 1", "exited normally]"], file: #filePath, line: #line)
        } else {
            assertSays(gdb, ["watchpoint 1", "= 0x7c00", "exited normally]"], file: #filePath, line: #line)
            XCTAssertTrue(gdb.errors.contains("Could not insert hardware watchpoint 1"), gdb.errors)
        }
        XCTAssertEqual(try run.finish().statistics.total.exits, 1003)
    }

    func testAThousandSteps() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        // A loop of four instructions.
        try talk(
            run,
            ["tbreak *0x7c85", "continue", "stepi 1000", "print $pc", "print *(int *) 0x7cc0", "continue"],
            says: ["Temporary breakpoint 1,", "0x7c85", "= 252", "exited normally]"])
        XCTAssertEqual(try run.finish().statistics.total.exits, 1003)
    }

    func testTwoVCPUs() throws {
        let image = try XCTUnwrap(BuiltInGuest(named: "storm-smp")).image
        let out = try XCTUnwrap(image.indices.dropLast().last { image[$0] == 0xe6 && image[$0 + 1] == 0x80 })
        let run = try DebuggedMachine(image, cpus: 2, argument: 1000)
        try talk(
            run,
            [
                "hbreak *\(0x7c00 + out)", "continue", "info threads", "stepi 3", "thread", "thread 1",
                "print $_thread", "delete", "detach",
            ],
            says: ["Thread 2 hit Breakpoint 1", "Thread 1 (vCPU 0", "* 2    Thread 2 (vCPU 1", "thread is 2", "= 1"])
        let outcome = try run.finish()
        XCTAssertEqual(outcome.ending.name, "exit_port")
        XCTAssertEqual(outcome.statistics.total.kinds.first { $0.kind == .portOut }?.exits, 2001)
    }

    /// Ctrl-C in GDB while the guest runs, which then runs to its end.
    func testAnInterrupt() throws {
        let image = try XCTUnwrap(BuiltInGuest(named: "storm")).image
        let run = try DebuggedMachine(image, argument: 100_000)
        let gdb = try RunningProcess(
            command(run.listener, ["continue", "print $eflags", "monitor exits", "kill"]))
        // It is GDB that has let the guest go.
        while run.machine.countersSoFar.exits == 0 { sched_yield() }
        try gdb.send(SIGINT)
        let said = try CommandLineRun(of: gdb)
        assertSays(
            said, ["received signal SIGINT", "= [", "killed]"], file: #filePath, line: #line)
        XCTAssertTrue(said.errors.contains("io_out"), said.errors)
        XCTAssertEqual(try run.finish().ending.name, "signal")
    }

    /// The command's own options.
    func testTheCommand() throws {
        let folder = try makeFolder()
        let guest = try folder.file("modes.bin", DebugGuests.modes)
        let socket = folder.path("gdb")
        let minivmm = try RunningProcess([
            MiniVMMExecutable.path(), "run", guest, "--gdb", "unix:\(socket)", "--gdb-wait", "--stats", "none",
        ])
        while access(socket, F_OK) != 0 { sched_yield() }
        let gdb = try CommandLineRun(command: [
            Self.gdb, "-nx", "-batch", "-ex", "target remote \(socket)", "-ex", "break *0x7c8c", "-ex", "continue",
            "-ex", "print *(int *) 0x7cc0", "-ex", "detach",
        ])
        assertSays(gdb, ["0x00007c00", "Breakpoint 1,", "= 3", "detached]"], file: #filePath, line: #line)
        let run = try CommandLineRun(of: minivmm)
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "minivmm: the guest waits for GDB: target remote \(socket)\n")
        XCTAssertNotEqual(access(socket, F_OK), 0, "the socket is gone")
    }
}
