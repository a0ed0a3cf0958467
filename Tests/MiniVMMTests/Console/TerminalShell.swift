import CTestSupport
import Glibc
import XCTest

@testable import MiniVMM

/// A shell with job control and one job: a process in the role `waits`.
///
/// It is the leader of a session, so it cannot be part of the test itself.
final class TerminalShell {
    private let report: TestPipe
    private let job: ChildProcess
    private let found = TerminalShell.modes

    init() throws {
        report = try TestPipe()
        job = try TerminalRole.waits.start(files: [0, 1, 2, report.writeEnd], place: CTEST_NEW_GROUP)
    }

    private static var modes: [UInt8] {
        get {
            var modes = termios()
            tcgetattr(0, &modes)
            return withUnsafeBytes(of: &modes) { Array($0) }
        }
        set {
            newValue.withUnsafeBytes { bytes in
                var modes = bytes.loadUnaligned(as: termios.self)
                tcsetattr(0, TCSANOW, &modes)
            }
        }
    }

    /// The modes that a shell's line editor uses.
    private var editing: [UInt8] {
        found.withUnsafeBytes { bytes in
            var modes = bytes.loadUnaligned(as: termios.self)
            modes.c_lflag &= ~tcflag_t(ICANON | ECHO)
            return withUnsafeBytes(of: &modes) { Array($0) }
        }
    }

    /// What a person does with a job, step by step.
    func work() throws {
        XCTAssertEqual(report.next(), TerminalRole.started)
        try comeToFront()
        try stopAndGoOn()
        try stopHardAndGoOn()
        try endInBackground()
    }

    /// A job that was started in the background leaves the terminal alone, and takes it over when it comes to the front.
    private func comeToFront() throws {
        Self.modes = editing
        writeAll(Array("k".utf8), to: 4)
        XCTAssertEqual(Self.modes, editing)
        Self.modes = found
        XCTAssertEqual(ctest_set_foreground(0, job.id), 0)
        // In line mode it would not come without a newline; the job was not stopped when the key was typed.
        XCTAssertEqual(report.next(), UInt8(ascii: "k"))
        XCTAssertNotEqual(Self.modes, found)
    }

    /// SIGTSTP: the terminal is put right before the job stops, and taken over again when it goes on.
    private func stopAndGoOn() throws {
        job.send(SIGTSTP)
        XCTAssertEqual(job.waitForStop(), 2000 + SIGTSTP)
        XCTAssertEqual(Self.modes, found)
        XCTAssertEqual(ctest_set_foreground(0, getpgrp()), 0)
        XCTAssertEqual(ctest_set_foreground(0, job.id), 0)
        job.send(SIGCONT)
        writeAll(Array("l".utf8), to: 4)
        XCTAssertEqual(report.next(), UInt8(ascii: "l"))
        XCTAssertNotEqual(Self.modes, found)
    }

    /// SIGSTOP, which cannot be caught: the shell puts the terminal right.
    private func stopHardAndGoOn() throws {
        let raw = Self.modes
        job.send(SIGSTOP)
        XCTAssertEqual(job.waitForStop(), 2000 + SIGSTOP)
        XCTAssertEqual(ctest_set_foreground(0, getpgrp()), 0)
        Self.modes = found
        XCTAssertEqual(Self.modes, found)
        XCTAssertEqual(ctest_set_foreground(0, job.id), 0)
        job.send(SIGCONT)
        writeAll(Array("m".utf8), to: 4)
        XCTAssertEqual(report.next(), UInt8(ascii: "m"))
        XCTAssertEqual(Self.modes, raw)
    }

    /// A job that goes on in the background, and ends there, does not change the modes that are the shell's by then.
    private func endInBackground() throws {
        job.send(SIGSTOP)
        XCTAssertEqual(job.waitForStop(), 2000 + SIGSTOP)
        XCTAssertEqual(ctest_set_foreground(0, getpgrp()), 0)
        job.send(SIGCONT)
        Self.modes = editing
        job.send(SIGTERM)
        XCTAssertEqual(job.waitForEnd(), 1000 + SIGTERM)
        XCTAssertEqual(Self.modes, editing)
        Self.modes = found
    }
}
