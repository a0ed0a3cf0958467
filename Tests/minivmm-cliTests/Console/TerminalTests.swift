@testable import TestSupport
@testable import minivmm_cli
@testable import Devices
import Glibc
@testable import Host
import XCTest

/// Whatever way a run ends, the terminal is as it was before. Each way is gone by a process of its own.
final class TerminalTests: XCTestCase {
    /// Runs a process in a role on a terminal of its own, and compares the terminal's modes before and after.
    ///
    /// - Parameter act: Called while the terminal is raw.
    /// - Returns: How the process ended; nil if it did not.
    private func run(_ role: TerminalRole, _ act: (ChildProcess) throws -> Void = { _ in }) throws -> ProcessEnd? {
        let terminal = try PseudoTerminal()
        let report = try PipeEnds()
        let messages = try CapturedConsole()
        let before = terminal.modes
        let files = [terminal.slave, messages.descriptor, messages.descriptor, report.writer, terminal.master]
        let child = try role.start(files: files)
        if role == .waits || role == .watches {
            XCTAssertEqual(report.next(), TerminalRole.started)
            XCTAssertTrue(terminal.isRaw)
            XCTAssertNotEqual(terminal.modes, before)
        }
        try act(child)
        let end = try child.waitForEnd()
        XCTAssertEqual(terminal.modes, before, "\(role): \(messages.text)")
        if end == .exited(1) { XCTFail(messages.text) }
        return end
    }

    func testRestoredByEachSignal() throws {
        try TestBed.skipWhereEmulated()
        let signals = [
            SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF,
            SIGIO, SIGPWR, SIGSTKFLT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS,
        ]
        for number in signals {
            XCTAssertEqual(try run(.waits) { try $0.send(number) }, .signaled(number))
        }
    }

    func testRestoredByTheEndOfTheRun() throws {
        XCTAssertEqual(try run(.returns), .exited(0))
    }

    func testRestoredByExit() throws {
        XCTAssertEqual(try run(.exits), .exited(TerminalRole.status))
    }

    func testRestoredByCrashes() throws {
        XCTAssertEqual(try run(.aborts), .signaled(SIGABRT))
        XCTAssertEqual(try run(.faults), .signaled(SIGSEGV))
        let trap = try run(.traps)
        XCTAssertTrue(trap == .signaled(SIGILL) || trap == .signaled(SIGTRAP), "\(String(describing: trap))")
    }

    func testRestoredByWatchedSignals() throws {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            XCTAssertEqual(try run(.watches) { try $0.send(number) }, .exited(128 + number))
        }
    }

    func testJobControl() throws {
        XCTAssertEqual(try run(.shell), .exited(0))
    }

    func testInputThatNobodyReadIsDropped() throws {
        let pseudo = try PseudoTerminal()
        let terminal = try XCTUnwrap(Terminal(descriptor: pseudo.slave))
        let isActing = DispatchSemaphore(value: 0)
        let mayGoOn = DispatchSemaphore(value: 0)
        let hasEnded = DispatchSemaphore(value: 0)
        let bell = try Doorbell()
        let input = try ConsoleInput(
            .terminal(terminal) { _ in
                isActing.signal()
                _ = mayGoOn.comes()
            }, to: ReceiverStub(), bell: bell)
        pseudo.type([EscapeKeys.prefix, UInt8(ascii: "h")])
        XCTAssertTrue(isActing.comes())
        pseudo.type(Array("rm -rf /\n".utf8))
        Thread.detachNewThread {
            input.end()
            hasEnded.signal()
        }
        XCTAssertTrue(bell.wait(timeout: nil))
        mayGoOn.signal()
        XCTAssertTrue(hasEnded.comes())
        var wanted = pollfd(fd: pseudo.slave, events: Int16(POLLIN), revents: 0)
        XCTAssertEqual(poll(&wanted, 1, 0), 0)
    }

    func testOneTerminalAtATime() throws {
        let (first, second) = (try PseudoTerminal(), try PseudoTerminal())
        let before = second.modes
        func input(_ pseudo: PseudoTerminal) throws -> ConsoleInput {
            let terminal = try XCTUnwrap(Terminal(descriptor: pseudo.slave))
            return try ConsoleInput(.terminal(terminal) { _ in }, to: ReceiverStub(), bell: Doorbell())
        }
        let one = try input(first)
        let two = try input(second)
        XCTAssertTrue(first.isRaw)
        XCTAssertTrue(Terminal.isRaw)
        two.end()
        XCTAssertEqual(second.modes, before)
        XCTAssertTrue(first.isRaw, "the one that did not get a terminal does not give one back")
        one.end()
        XCTAssertEqual(first.modes, before)
        XCTAssertFalse(Terminal.isRaw)
    }

    func testOnlyTerminalsAreTerminals() throws {
        XCTAssertNil(Terminal(descriptor: try PipeEnds().reader))
        XCTAssertNil(Terminal(descriptor: -1))
    }

    func testRawText() {
        XCTAssertEqual(Terminal.raw("\na\nb\n\nc"), "\r\na\r\nb\r\n\r\nc")
    }
}
