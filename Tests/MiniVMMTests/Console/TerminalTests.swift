import CTestSupport
import Glibc
import XCTest

@testable import MiniVMM

/// Whatever way a run ends, the terminal is as it was before. Each way is gone by a process of its own.
final class TerminalTests: XCTestCase {
    /// Runs a process in a role on a terminal of its own, and compares the terminal's modes before and after.
    ///
    /// - Parameter act: Called while the terminal is raw.
    /// - Returns: How the process ended, as ``ChildProcess`` says it.
    private func run(_ role: TerminalRole, _ act: (ChildProcess) -> Void = { _ in }) throws -> Int32 {
        let terminal = try PseudoTerminal()
        let report = try TestPipe()
        let messages = try CapturedConsole()
        let before = terminal.modes
        let files = [terminal.slave, messages.descriptor, messages.descriptor, report.writeEnd, terminal.master]
        let child = try role.start(files: files, place: CTEST_NEW_SESSION)
        if role == .waits || role == .watches {
            XCTAssertEqual(report.next(), TerminalRole.started)
            XCTAssertTrue(terminal.isRaw)
            XCTAssertNotEqual(terminal.modes, before)
        }
        act(child)
        let result = child.waitForEnd()
        XCTAssertEqual(terminal.modes, before, "\(role): \(messages.text)")
        if result == 1 { XCTFail(messages.text) }
        return result
    }

    func testRestoredByEachSignal() throws {
        let signals = [
            SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF,
            SIGIO, SIGPWR, SIGSTKFLT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS,
        ]
        for number in signals {
            XCTAssertEqual(try run(.waits) { $0.send(number) }, 1000 + number)
        }
    }

    func testRestoredByTheEndOfTheRun() throws {
        XCTAssertEqual(try run(.returns), 0)
    }

    func testRestoredByExit() throws {
        XCTAssertEqual(try run(.exits), TerminalRole.status)
    }

    func testRestoredByCrashes() throws {
        XCTAssertEqual(try run(.aborts), 1000 + SIGABRT)
        XCTAssertEqual(try run(.faults), 1000 + SIGSEGV)
        let trap = try run(.traps)
        XCTAssertTrue([1000 + SIGILL, 1000 + SIGTRAP].contains(trap), "\(trap)")
    }

    func testRestoredByWatchedSignals() throws {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            XCTAssertEqual(try run(.watches) { $0.send(number) }, 128 + number)
        }
    }

    func testJobControl() throws {
        XCTAssertEqual(try run(.shell), 0)
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
        XCTAssertNil(Terminal(descriptor: try TestPipe().readEnd))
        XCTAssertNil(Terminal(descriptor: -1))
    }

    func testRawText() {
        XCTAssertEqual(Terminal.raw("\na\nb\n\nc"), "\r\na\r\nb\r\n\r\nc")
    }
}
