import Foundation
@testable import TestSupport
import XCTest

/// What is made out of the commands' own definitions: manual pages and completions.
final class ManualTests: XCTestCase {
    private struct Definition: Decodable {
        struct Name: Decodable {
            let kind: String
            let name: String
        }
        struct Argument: Decodable {
            let names: [Name]?
            let shouldDisplay: Bool
        }
        struct Command: Decodable {
            let commandName: String
            let arguments: [Argument]?
            let subcommands: [Command]?
        }
        let command: Command
    }

    private func needs(_ tool: String) throws {
        let look = try CommandLineRun(command: ["/bin/sh", "-c", "command -v \(tool)"])
        guard look.end == .exited(0) else { throw XCTSkip("there is no \(tool) here") }
    }

    private func options(of command: Definition.Command) -> [String] {
        let arguments = (command.arguments ?? []).filter(\.shouldDisplay)
        let names = arguments.flatMap { $0.names ?? [] }.filter { $0.kind == "long" }.map { "--\($0.name)" }
        return names + (command.subcommands ?? []).flatMap { options(of: $0) }
    }

    /// There is a page for each command, which has all of its options and nothing that troff complains of.
    func testEveryOptionIsInThePageOfItsCommand() throws {
        try TestBed.skipWhereEmulated()
        try needs("python3")
        let folder = try makeFolder()
        let made = try CommandLineRun(
            command: [RepositoryFile.url("Scripts/manual").path, MiniVMMExecutable.path(), folder.path, "2026-01-31"])
        made.assertStatus(0)
        XCTAssertEqual(made.errors, "")
        let json = try CommandLineRun(["--experimental-dump-help"]).output
        let root = try JSONDecoder().decode(Definition.self, from: Data(json)).command
        let commands = try XCTUnwrap(root.subcommands).filter { $0.commandName != "help" }
        XCTAssertGreaterThan(commands.count, 6)
        for command in commands {
            let path = folder.path("minivmm-\(command.commandName).1")
            let page = try String(contentsOfFile: path, encoding: .utf8)
            for option in options(of: command) {
                let head = "\\fB\(option.replacing("-", with: "\\-"))\\fR"
                XCTAssertTrue(page.contains(head), "\(command.commandName): \(option)")
            }
            XCTAssertTrue(page.contains(" 1 2026-01-31 \"MiniVMM "), page)
        }
        try needs("man")
        let lint = try CommandLineRun(
            command: [
                "/bin/sh", "-c",
                "for page in '\(folder.path)'/*.1; do man --warnings -l -Tutf8 -Z $page > \(folder.path)/out || exit; done",
            ])
        lint.assertStatus(0)
        XCTAssertEqual(lint.errors, "")
    }

    /// What bash completes.
    func testCompletionsInBash() throws {
        try TestBed.skipWhereEmulated()
        try needs("bash")
        let folder = try makeFolder()
        let script = try CommandLineRun(["--generate-completion-script", "bash"])
        script.assertStatus(0)
        let path = try folder.file("minivmm", script.output)
        let lines: [(line: String, offers: [String])] = [
            ("ru", ["run"]), ("do", ["doctor"]), ("run --stats-", ["--stats-file"]), ("run --stats js", ["json"]),
            ("run --guest cou", ["counters"]), ("compare --format git", ["github-benchmark"]),
        ]
        for (line, offers) in lines {
            let words = ["minivmm"] + line.split(separator: " ").map(String.init)
            let shell = try CommandLineRun(
                command: [
                    "/bin/bash", "--norc", "-c",
                    """
                    . '\(path)' && COMP_LINE='minivmm \(line)' COMP_WORDS=(minivmm \(line)) && COMP_POINT=${#COMP_LINE}
                    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) && _minivmm minivmm \(words.suffix(2).reversed().joined(separator: " ")) && printf '%s\\n' "${COMPREPLY[@]}"
                    """,
                ])
            XCTAssertEqual(shell.errors, "", line)
            XCTAssertEqual(shell.outputText.split(separator: "\n").map(String.init), offers, line)
        }
    }
}
