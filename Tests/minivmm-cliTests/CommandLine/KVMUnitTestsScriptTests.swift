import Foundation
@testable import Boot
@testable import TestSupport
import XCTest

/// `Scripts/kvm-unit-tests` on a tree of small kernels in the form of that suite.
final class KVMUnitTestsScriptTests: KVMTestCase {
    /// A kernel that prints a text on the serial port, and ends as the suite's kernels do: with a long write to port
    /// 0xF4.
    private func kernel(_ text: String, status: UInt8) -> [UInt8] {
        let code: [UInt8] = [
            0xbe, 0x4b, 0x00, 0x10, 0x00,  // mov esi, the text
            0x66, 0xba, 0xf8, 0x03,  // mov dx, 0x3f8
            0xac,  // lodsb
            0x84, 0xc0,  // test al, al
            0x74, 0x03,  // je to the xor
            0xee,  // out dx, al
            0xeb, 0xf8,  // jmp to the lodsb
            0x31, 0xc0,  // xor eax, eax
            0xb0, status,  // mov al, status
            0xe7, 0xf4,  // out 0xf4, eax
            0xf4, 0xeb, 0xfd,  // hlt; jmp to it
        ]
        return SampleMultiboot(code: code + [0x90] + Array(text.utf8) + [0]).bytes
    }

    private func makeTree() throws -> String {
        let folder = try makeFolder()
        let tests = URL(fileURLWithPath: folder.path).appendingPathComponent("x86")
        try FileManager.default.createDirectory(at: tests, withIntermediateDirectories: true)
        func write(_ name: String, _ bytes: [UInt8]) throws {
            try Data(bytes).write(to: tests.appendingPathComponent(name))
        }
        try write("good.flat", kernel("PASS: one\r\nPASS: two 17\r\nSKIP: three\r\n", status: 0))
        try write("bad.flat", kernel("PASS: one\nFAIL: two\n", status: 1))
        try write("skip.flat", kernel("SKIP: all\n", status: 77))
        // UD2 without handlers: a triple fault.
        try write("dies.flat", SampleMultiboot(code: [0x0f, 0x0b]).bytes)
        try write("echo.flat", SampleMultiboot(code: SampleMultiboot.printer).bytes)
        try write(
            "unittests.cfg",
            Array(
                """
                # A comment.
                [good]
                file = good.flat
                arch = x86_64

                [bad]
                file = bad.flat
                smp = 2
                [skips]
                file = skip.flat
                extra_params = -cpu max,+x2apic
                [dies]
                file = dies.flat
                timeout = 50
                [echoes]
                file = echo.flat
                extra_params = -m 64 --append "a 'b' `echo c`"
                [missing]
                file = missing.flat
                [narrow]
                file = good.flat
                arch = i386
                [device]
                file = good.flat
                extra_params = -device edu
                [hidden]
                file = good.flat
                groups = nodefault slow
                [checked]
                file = good.flat
                check = /proc/version=none

                """.utf8))
        try Data("ARCH=x86_64\n".utf8).write(
            to: URL(fileURLWithPath: folder.path).appendingPathComponent("config.mak"))
        return folder.path
    }

    private func run(_ arguments: [String]) throws -> CommandLineRun {
        let script = RepositoryFile.url("Scripts/kvm-unit-tests").path
        return try CommandLineRun(command: [script, "--minivmm", MiniVMMExecutable.path()] + arguments)
    }

    private func row(_ name: String, in text: String) -> [Substring] {
        text.split(separator: "\n").first { $0.hasPrefix(name + " ") }?.split(separator: " ") ?? []
    }

    func testATree() throws {
        try TestBed.skipWhereEmulated()
        let tree = try makeTree()
        let output = try makeFolder().path
        let run = try run(["--output", output, tree])
        run.assertStatus(1)
        let text = run.outputText
        XCTAssertEqual(row("good", in: text), ["good", "PASS", "2", "0", "1"], text)
        XCTAssertEqual(row("bad", in: text), ["bad", "FAIL", "1", "1", "0"], text)
        XCTAssertEqual(row("skips", in: text), ["skips", "SKIP", "0", "0", "1"], text)
        XCTAssertEqual(row("dies", in: text), ["dies", "DIED", "0", "0", "0"], text)
        // The kernel ends with 7: 15 to a command that runs QEMU.
        XCTAssertEqual(row("echoes", in: text), ["echoes", "STATUS", "15", "0", "0", "0"], text)
        for (name, reason) in [
            ("missing", "missing.flat is not built"), ("narrow", "for i386"), ("device", "needs -device edu"),
            ("hidden", "not by default"), ("checked", "not /proc/version=none"),
        ] {
            XCTAssertEqual(row(name, in: text).joined(separator: " "), "\(name) not run \(reason)", text)
        }
        XCTAssertTrue(text.hasSuffix("1 passed, 3 did not, 6 skipped\n"), text)
        let echoed = try String(contentsOfFile: output + "/echoes.minivmm.log", encoding: .utf8)
        XCTAssertEqual(echoed, "echo.flat a 'b' c")
    }

    /// A command by the name of QEMU, which says of each kernel what it is made to, and waits for ever where KVM fails.
    private func makeQEMU() throws -> String {
        let folder = try makeFolder().path
        let script = """
            #!/bin/sh
            case "$*" in
                *-kernel*/good.flat*) printf 'PASS: one\\nPASS: two 18\\nSKIP: three\\n'; exit 1 ;;
                *-kernel*/bad.flat*) printf 'PASS: one\\nPASS: two\\n'; exit 1 ;;
                *-kernel*/dies.flat*) echo 'KVM internal error. Suberror: 1'; exec sleep 1000 ;;
            esac
            if [ -e '\(folder)/again' ]; then echo 'SKIP: all'; else echo 'SKIP: none'; fi
            touch '\(folder)/again'
            exit 155
            """
        let file = folder + "/qemu-system-x86_64"
        try Data(script.utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file)
        return folder
    }

    func testAgainstQEMU() throws {
        try TestBed.skipWhereEmulated()
        let script = RepositoryFile.url("Scripts/kvm-unit-tests").path
        let run = try CommandLineRun(command: [
            "/bin/sh", "-c", "PATH=$0:$PATH exec \"$@\"", try makeQEMU(), script, "--qemu", "--minivmm",
            MiniVMMExecutable.path(), makeTree(), "good", "bad", "skips", "dies",
        ])
        run.assertStatus(1)
        let text = run.outputText
        XCTAssertEqual(row("good", in: text), ["good", "PASS", "2", "0", "1", "same"], text)
        XCTAssertEqual(row("bad", in: text).joined(separator: " "), "bad FAIL 1 1 0 PASS, 2 lines differ", text)
        XCTAssertEqual(row("skips", in: text).joined(separator: " "), "skips SKIP 0 0 1 unsteady under QEMU", text)
        XCTAssertEqual(row("dies", in: text), ["dies", "DIED", "0", "0", "0", "same"], text)
        XCTAssertTrue(text.contains("\nbad\n> FAIL: two\n< PASS: two\n"), text)
        XCTAssertTrue(text.hasSuffix("1 passed, 2 did not, 1 skipped, 1 differ from QEMU, 1 unsteady\n"), text)
    }

    func testNamedTests() throws {
        try TestBed.skipWhereEmulated()
        let tree = try makeTree()
        let chosen = try run([tree, "good", "hidden"])
        chosen.assertStatus(0)
        XCTAssertEqual(chosen.outputText.split(separator: "\n").count, 4, chosen.outputText)
        try run([tree, "none"]).assertStatus(64)
        try run(["--bed", "moon", tree]).assertStatus(64)
        try run([tree + "/none"]).assertStatus(66)
    }
}
