import Glibc
@testable import TestSupport
import XCTest

/// A shell with job control and one job: a process in the role `waits`.
///
/// It is the leader of a session, so it cannot be part of the test itself.
final class TerminalShell {
    private let report: PipeEnds
    private let job: ChildProcess
    private let found = TerminalShell.modes

    init() throws {
        // What lets a process in the background take the terminal back. Its children have no signal blocked.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTTOU)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        report = try PipeEnds()
        job = try TerminalRole.waits.start(files: [0, 1, 2, report.writer], asJob: true)
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

    /// Makes a process group the one in the foreground.
    private func bringToFront(_ group: pid_t) {
        XCTAssertEqual(tcsetpgrp(0, group), 0)
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
        bringToFront(job.id)
        // In line mode it would not come without a newline; the job was not stopped when the key was typed.
        XCTAssertEqual(report.next(), UInt8(ascii: "k"))
        XCTAssertNotEqual(Self.modes, found)
    }

    /// SIGTSTP: the terminal is put right before the job stops, and taken over again when it goes on.
    private func stopAndGoOn() throws {
        try job.send(SIGTSTP)
        XCTAssertEqual(try job.waitForStop(), .stopped(SIGTSTP))
        XCTAssertEqual(Self.modes, found)
        bringToFront(getpgrp())
        bringToFront(job.id)
        try job.send(SIGCONT)
        writeAll(Array("l".utf8), to: 4)
        XCTAssertEqual(report.next(), UInt8(ascii: "l"))
        XCTAssertNotEqual(Self.modes, found)
    }

    /// SIGSTOP, which cannot be caught: the shell puts the terminal right.
    private func stopHardAndGoOn() throws {
        let raw = Self.modes
        try job.send(SIGSTOP)
        XCTAssertEqual(try job.waitForStop(), .stopped(SIGSTOP))
        bringToFront(getpgrp())
        Self.modes = found
        XCTAssertEqual(Self.modes, found)
        bringToFront(job.id)
        try job.send(SIGCONT)
        writeAll(Array("m".utf8), to: 4)
        XCTAssertEqual(report.next(), UInt8(ascii: "m"))
        XCTAssertEqual(Self.modes, raw)
    }

    /// A job that goes on in the background, and ends there, does not change the modes that are the shell's by then.
    private func endInBackground() throws {
        try job.send(SIGSTOP)
        XCTAssertEqual(try job.waitForStop(), .stopped(SIGSTOP))
        bringToFront(getpgrp())
        try job.send(SIGCONT)
        Self.modes = editing
        try job.send(SIGTERM)
        XCTAssertEqual(try job.waitForEnd(), .signaled(SIGTERM))
        XCTAssertEqual(Self.modes, editing)
        Self.modes = found
    }
}
