@testable import Boot
@testable import Exec
import Foundation
@testable import TestSupport
import XCTest

/// A person at a terminal, with a shell in a Linux guest.
final class LinuxTerminalTests: KVMTestCase {
    /// What is pasted: lines of 64 bytes, 64 KiB of them or a sixteenth of it.
    private static let text = (0..<TestExtent.of(64, exhaustive: 1024)).flatMap { line in
        Array((String(line) + String(repeating: ".", count: 63)).utf8.prefix(63)) + [UInt8(ascii: "\n")]
    }

    /// Gives the shell a terminal of its own, so that Ctrl-C interrupts what it runs.
    private static let script = """
        #!/bin/busybox sh
        /bin/busybox mount -t devtmpfs none /dev
        /bin/busybox --install -s /bin
        export PS1='guest> '
        setsid sh -c 'exec sh </dev/ttyS0 >/dev/ttyS0 2>&1'
        poweroff -f
        """

    /// Starts a guest on a terminal, with standard error there as well.
    private func start(on terminal: PseudoTerminal, _ options: [String] = []) throws -> ChildProcess {
        var archive = Initramfs()
        for folder in ["dev", "tmp"] { try archive.addDirectory(folder) }
        try archive.addFile("bin/busybox", contents: LinuxBed.busybox(), mode: 0o755)
        try archive.addFile("init", contents: Array((Self.script + "\n").utf8), mode: 0o755)
        try archive.addFile("expected", contents: Self.text)
        let initrd = try makeFolder().file("initrd", archive.archive)
        let command = [
            try MiniVMMExecutable.path(), "run", try LinuxBed.kernel().path, "--initrd", initrd, "--memory", "128M",
            "--append", "quiet",
        ]
        var spawn = try SpawnRequest(command + options)
        for target in 0..<3 as Range<Int32> { try spawn.duplicate(terminal.slave, as: target) }
        let child = try ChildProcess(&spawn)
        terminal.leave()
        return child
    }

    func testShell() throws {
        _ = try LinuxBed.kvm()
        let terminal = try PseudoTerminal()
        let modes = terminal.modes
        let person = TerminalDialog(terminal)
        let child = try start(on: terminal, ["--stats", "none"])

        // Typing.
        try person.expect("guest> ")
        XCTAssertTrue(terminal.isRaw)
        person.type("echo $((6 * 7))\r")
        try person.expect("\r\n42\r\n")
        // Ctrl-C is for the guest.
        try person.expect("guest> ")
        person.type("echo to be interrupted; sleep 10000\r")
        try person.expect("\r\nto be interrupted\r\n")
        person.type("\u{3}")
        try person.expect("guest> ")
        person.type("echo status=$?\r")
        try person.expect("\r\nstatus=130\r\n")
        // A paste.
        try person.expect("guest> ")
        person.type("cat >/tmp/got\r")
        Thread.detachNewThread { terminal.type(Self.text + [4]) }
        try person.expect("guest> ")
        person.type("cmp /tmp/got /expected && echo the same\r")
        try person.expect("\r\nthe same\r\n")
        // The escape keys.
        person.type("\u{1}c")
        try person.expect("\r\ntotal ")
        try person.expect(" in KVM_RUN.\r\n")
        person.type("\u{1}h")
        try person.expect("\r\nCtrl-A X       end the run\r\n")
        person.type("\u{1}x")
        XCTAssertEqual(try child.waitForEnd(), .exited(0), String(decoding: person.shown, as: UTF8.self))
        XCTAssertEqual(terminal.modes, modes)
        try person.expect("minivmm: the run was stopped.\r\n")
    }

    func testPowerOff() throws {
        _ = try LinuxBed.kvm()
        let terminal = try PseudoTerminal()
        let modes = terminal.modes
        let person = TerminalDialog(terminal)
        let child = try start(on: terminal)
        try person.expect("guest> ")
        person.type("exit\r")
        try person.expect(" in KVM_RUN. ")
        XCTAssertEqual(try child.waitForEnd(), .exited(0), String(decoding: person.shown, as: UTF8.self))
        XCTAssertEqual(terminal.modes, modes)
    }
}
