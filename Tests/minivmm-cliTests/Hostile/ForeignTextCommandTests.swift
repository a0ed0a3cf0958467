import ArgumentParser
import Foundation
import Glibc
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// What other people's names and files can do to a terminal and to the time that a command takes.
final class ForeignTextCommandTests: XCTestCase {
    private func assertHarmless(_ run: CommandLineRun, line: UInt = #line) {
        for text in [run.errors, run.outputText] {
            let bad = text.unicodeScalars.filter { $0.value < 0x20 && $0 != "\n" || (0x7f...0x9f).contains($0.value) }
            XCTAssertTrue(bad.isEmpty, text.debugDescription, line: line)
        }
    }

    func testMessages() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let carriageReturn = try folder.file("crlf", Array("#!/bin/sh\r\necho x\r\n".utf8))
        let escape = try folder.file("esc", Array("#!/bin/\u{1b}[31mfoo\n".utf8))
        for path in [carriageReturn, escape] {
            chmod(path, 0o755)
            let run = try CommandLineRun(["exec", "--kernel", "/none", "--", path])
            run.assertStatus(126)
            assertHarmless(run)
        }
        for arguments in [
            ["run", "/none\u{1b}[2J"], ["run", "--\u{1b}[2J"], ["run", "--guest", "\u{1b}[2J"], ["\u{1b}c"],
            ["exec", "--env", "=\u{9b}2J", "--", "/bin/true"], ["compare", "/a\r", "/b\u{202e}"],
            ["run", "--guest", "hello", "--stats-file", "/none/\u{7}"],
        ] {
            let run = try CommandLineRun(arguments)
            XCTAssertNotEqual(run.end, .exited(0))
            assertHarmless(run)
        }
    }

    func testComparedFiles() throws {
        let folder = try makeFolder()
        let escape = try folder.file(
            "escape.json",
            SampleReport.text(
                kinds: [#"io\u001b]0;pwned\u0007"#],
                more: #"""
                    "context": {"guest": "g\u001b[2J\nA: faked line", "command": [], "started_at": "",
                    "memory_bytes": 1, "vcpu_count": 1, "processor": "\u0007", "kernel": "\u001bc"},
                    """#))
        let run = try CommandLineRun(["compare", escape, escape])
        run.assertStatus(0)
        assertHarmless(run)
        XCTAssertEqual(run.outputText.split(separator: "\n").filter { $0.hasPrefix("A: ") }.count, 1)
    }

    func testAFileWithManyOrLongKindsIsNoReport() throws {
        let folder = try makeFolder()
        func file(_ name: String, _ kinds: [String]) throws -> String {
            try folder.file(name, SampleReport.text(kinds: kinds))
        }
        let fits = try file("fits.json", (0..<64).map { "k\($0)" + String(repeating: "x", count: 60) })
        try CommandLineRun(["compare", fits, fits]).assertStatus(0)
        let many = try file("many.json", (0..<16_000).map { "k\($0)" })
        let long = try file("long.json", [String(repeating: "x", count: 1_000_000)])
        for path in [many, long] { try CommandLineRun(["compare", path, path]).assertStatus(65) }
    }

    /// Arguments of a program are not parsed, however many there are: ArgumentParser sees one word of them.
    func testTwentyThousandArguments() throws {
        let arguments = ["exec", "--kernel", "/none", "--", "/bin/true"] + [String](repeating: "--help", count: 20_000)
        let words = CommandWords(arguments.map { Array($0.utf8) })
        XCTAssertEqual(words.parsed, ["exec", "--kernel", "/none", "--", "program"])
        XCTAssertEqual(words.program?.count, 20_001)
        try CommandLineRun(arguments).assertStatus(66)
    }

    /// Names that are not UTF-8, as files to read and to write.
    func testNamesAreBytes() throws {
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        _ = try folder.file("image", [0xf4])
        let script = """
            cd "$1" && odd=$(printf 'a\\377b') && mv image "$odd.bin" &&
            "$0" run "$odd.bin" --report "$odd.json" --stats-file "$odd.txt" && printf '%s\\n' * | od -An -v -b
            """
        let run = try CommandLineRun(
            command: ["/bin/sh", "-c", script, MiniVMMExecutable.path(), folder.path])
        run.assertStatus(0)
        let bytes = run.outputText.split { $0 == " " || $0 == "\n" }
        XCTAssertEqual(bytes.filter { $0 == "377" }.count, 3, run.outputText)
        XCTAssertFalse(bytes.contains("357"), run.outputText)
    }

    func testWhereTheProgramBegins() {
        func words(_ line: String) -> CommandWords {
            CommandWords(line.split(separator: " ").map { Array($0.utf8) })
        }
        for (line, parsed, program) in [
            ("exec ls -l", "exec -- program", "ls -l"), ("exec -- ls --help", "exec -- program", "ls --help"),
            ("exec --memory 1G --kernel-log ls", "exec --memory 1G --kernel-log -- program", "ls"),
            ("exec --memory=1G -- -x", "exec --memory=1G -- program", "-x"),
            ("exec --help", "exec --help", nil),
            ("run x", "run x", nil), ("exec", "exec", nil), ("exec --", "exec --", nil),
        ] as [(String, String, String?)] {
            let words = words(line)
            XCTAssertEqual(words.parsed.joined(separator: " "), parsed, line)
            XCTAssertEqual(
                words.program.map { $0.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ") }, program)
        }
    }

    /// An option without a value that is not known as such would take the program for its value.
    func testEveryFlagOfExecIsKnown() throws {
        let help = MiniVMMCommand.helpMessage(for: ExecCommand.self, includeHidden: true)
        let lines = help.split(separator: "\n").filter { $0.hasPrefix("  --") && !$0.contains("--version") }
        XCTAssertGreaterThan(lines.count, 15)
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            let hasValue = words.dropFirst().first?.hasPrefix("<") ?? false
            let split = CommandWords([Array("exec".utf8), Array(words[0].utf8), Array("a".utf8), Array("b".utf8)])
            XCTAssertEqual(split.program?.count, hasValue ? 1 : 2, words[0])
        }
    }
}
