import ArgumentParser
import Foundation
@testable import Report
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// What the README and the pages that it leads to show is what happens.
final class ReadmeTests: KVMTestCase {
    private static func lines(_ path: String) throws -> [String] {
        try String(decoding: RepositoryFile.bytes(path), as: UTF8.self).components(separatedBy: "\n")
    }

    /// The README and the pages in docs.
    private static func documents() throws -> [String] {
        let pages = try FileManager.default.contentsOfDirectory(atPath: RepositoryFile.url("docs").path)
        return ["README.md"] + pages.filter { $0.hasSuffix(".md") }.sorted().map { "docs/\($0)" }
    }

    /// A document's block of the given language that contains a text.
    private func block(_ language: String, with text: String, in path: String = "README.md") throws -> [String] {
        let blocks = try Self.lines(path).split(separator: "```\(language)").dropFirst()
            .map { $0.prefix { $0 != "```" } }
        return Array(try XCTUnwrap(blocks.first { block in block.contains { $0.contains(text) } }))
    }

    func testLibraryExampleIsTheOneThatIsCompiled() throws {
        let source = try Self.lines("Tests/minivmm-cliTests/Documentation/LibraryExample.swift")
        let example = source.drop { !$0.hasSuffix("README: from here") }.dropFirst()
            .prefix { !$0.hasSuffix("README: to here") }
            .map { String($0.dropFirst(4)) }
        XCTAssertEqual(try block("swift", with: "KVM()"), ["import MiniVMM", ""] + example)
    }

    func testLibraryExampleRuns() throws {
        let lines = try runLibraryExample()
        XCTAssertEqual(lines.map { $0.prefix { $0 != "," } }, ["the guest halted", "io_out 1000 exits", "hlt 1 exits"])
    }

    func testCountersPrintWhatTheReadmeShows() throws {
        // Cycles differ from run to run, and so do the counts of what the guest prints them with.
        let shown = try block("text", with: "Exit counters by CPUID leaf").prefix { !$0.hasPrefix("Cycles") }
        let printed = try CommandLineRun(["run", "--guest", "counters", "--stats", "none"]).outputText
        XCTAssertEqual(shown.count, 14)
        XCTAssertEqual(Array(shown), Array(printed.components(separatedBy: "\n").prefix(shown.count)))
    }

    /// The commands of the first minute, one after the other in one folder, print what stands below them, numbers aside.
    func testTheFirstMinute() throws {
        try TestBed.skipWhereEmulated()
        let lines = try Self.lines("README.md")
        let section = lines.drop { $0 != "## The first minute" }.dropFirst().prefix { !$0.hasPrefix("## ") }
        let parts = section.split(separator: "```sh").dropFirst()
        XCTAssertEqual(parts.count, 3)
        let folder = try makeFolder()
        try FileManager.default.createSymbolicLink(
            atPath: folder.path("minivmm"), withDestinationPath: MiniVMMExecutable.path())
        for part in parts {
            let commands = part.prefix { $0 != "```" }.joined(separator: "\n")
            let shown = part.drop { $0 != "```text" }.dropFirst().prefix { $0 != "```" }
            let run = try CommandLineRun(
                command: ["/bin/sh", "-c", "cd '\(folder.path)' && PATH=.:$PATH && exec 2>&1\n\(commands)"])
            run.assertStatus(0, commands)
            // What KVM itself counts, which kind of exit took most, and whether a run was an outlier, differs from host
            // to host and from time to time.
            let lines = run.outputText.components(separatedBy: "\n")
            XCTAssertEqual(shape(shown.map { $0 }).sorted(), shape(lines).sorted(), commands)
        }
    }

    /// Lines with `#` for numbers and their units, and without what depends on the host.
    private func shape(_ lines: [String]) -> [String] {
        let host = ["  ", "KVM's own", "Of KVM's", "Outlier", "(KVM's", "CPUID trap"]
        return lines.filter { line in !line.isEmpty && !host.contains { line.hasPrefix($0) } }.map { line in
            line.replacing(#/[-+]?[0-9.]*[0-9](%| ?[kMGmun]?s\b|[kMG]\b)?|=/#, with: "#").split(separator: " ")
                .joined(separator: " ")
        }
    }

    /// The files that the README installs are those of this version, by the names that Scripts/release gives them.
    func testInstallationIsOfThisVersion() throws {
        try TestBed.skipWhereEmulated()
        let text = try Self.lines("README.md").joined(separator: "\n")
        for name in ["minivmm-\(ReportMaker.number)-x86_64-linux.tar.gz", "minivmm_\(ReportMaker.number)-1_amd64.deb"] {
            XCTAssertTrue(text.contains(name), name)
        }
        XCTAssertTrue(try Self.lines("CHANGELOG.md").contains { $0.hasPrefix("## \(ReportMaker.number)") })
    }

    func testBootSectorInHexadecimal() throws {
        let command = try XCTUnwrap(block("sh", with: "xxd -r -p").first { $0.contains("xxd -r -p") })
        let words = try XCTUnwrap(command.split(separator: "'").dropFirst().first).split(separator: " ")
        let image = words.compactMap { UInt8($0, radix: 16) }
        XCTAssertEqual(image.count, words.count)
        let run = try CommandLineRun(["run", makeFolder().file("tiny.bin", image), "--stats", "none"])
        run.assertStatus(0)
        XCTAssertEqual(run.outputText, "Hi!\n")
    }

    /// The source for the GNU assembler, by the command that stands before it: it has no complaints.
    func testBootSectorForTheGNUAssembler() throws {
        for tool in ["/usr/bin/as", "/usr/bin/ld"] where access(tool, X_OK) != 0 {
            throw XCTSkip("there is no \(tool) here")
        }
        let source = try block("gas", with: ".code16", in: "docs/guests.md").joined(separator: "\n") + "\n"
        let line = try XCTUnwrap(Self.lines("docs/guests.md").first { $0.contains("`as hello.s") })
        let command = try XCTUnwrap(line.split(separator: "`").dropFirst().first)
        let folder = try makeFolder()
        _ = try folder.file("hello.s", Array(source.utf8))
        let image = try folder.file("hello.bin", [])
        let directory = (image as NSString).deletingLastPathComponent
        let assembly = try CommandLineRun(command: ["/bin/sh", "-c", "cd '\(directory)' && \(command)"])
        assembly.assertStatus(0)
        XCTAssertEqual(assembly.errors, "")
        let run = try CommandLineRun(["run", image, "--stats", "none"])
        run.assertStatus(0)
        XCTAssertEqual(run.outputText, "Hello from my boot sector\r\n")
    }

    /// Every option of every command is named in the README, or in one of the pages.
    func testEveryOptionIsDocumented() throws {
        try TestBed.skipWhereEmulated()
        let named = try Set(Self.documents().flatMap { Self.words(try Self.lines($0).joined(separator: "\n")) })
        for command in ["run", "exec", "bench", "compare", "watch", "doctor", "guests", "guests dump"] {
            let help = try CommandLineRun(command.split(separator: " ").map(String.init) + ["--help"]).outputText
            for option in Self.words(help) where option.hasPrefix("--") {
                XCTAssertTrue(named.contains(option), "\(command): \(option)")
            }
        }
    }

    private static func words(_ text: String) -> [Substring] {
        text.split { !($0.isLetter || $0.isNumber || $0 == "-") }
    }

    /// Every command line that stands in the documents is one that the command takes.
    func testCommandLinesAreRight() throws {
        try TestBed.skipWhereEmulated()
        var count = 0
        for path in try Self.documents() {
            for line in try Self.commandLines(in: Self.lines(path)) {
                count += 1
                let words = Self.shellWords(line)
                do {
                    _ = try MiniVMMCommand.parseAsRoot(CommandWords(words.map { Array($0.utf8) }).parsed)
                } catch {
                    XCTAssertEqual(MiniVMMCommand.exitCode(for: error), .success, "\(path): \(line): \(error)")
                }
            }
        }
        XCTAssertGreaterThan(count, 40)
    }

    /// What follows `minivmm` on the lines of a document that are for a shell: those of blocks of sh, and indented ones.
    private static func commandLines(in lines: [String]) -> [String] {
        let joined = lines.joined(separator: "\n").replacing(#/\\\n +/#, with: "").components(separatedBy: "\n")
        var isShell = false
        return joined.compactMap { line in
            if line.hasPrefix("```") { isShell = line == "```sh" }
            guard isShell || line.hasPrefix("    ") else { return nil }
            let words = line.trimmingPrefix(#/ *(\$ |sudo )?/#)
            // What is left out of a line is not to be typed.
            guard words.hasPrefix("minivmm "), !words.contains(#/[\[…]/#) else { return nil }
            return String(words.dropFirst("minivmm ".count))
        }
    }

    /// The words of a command up to the shell's own signs, with a number for what another command gives.
    private static func shellWords(_ line: String) -> [String] {
        var words: [String] = []
        let plain = line.replacing(#/\$\([^)]*\)/#, with: "1")
        for match in plain.matches(of: #/'[^']*'|"[^"]*"|[^ '"]+/#) {
            let word = match.output
            if word.contains(#/^(\d?>|\||&|<|;|#)/#) { break }
            words.append(word.trimmingCharacters(in: CharacterSet(charactersIn: "'\"")))
        }
        return words
    }
}

/// The README's program in a guest of its own.
final class ReadmeExecTests: ExecTestCase {
    func testAProgramInAGuest() throws {
        let text = String(decoding: try RepositoryFile.bytes("README.md"), as: UTF8.self)
        let parts = text.components(separatedBy: "```sh\nminivmm exec -- ")
        XCTAssertEqual(parts.count, 2)
        let blocks = try XCTUnwrap(parts.last).components(separatedBy: "```")
        let words = try XCTUnwrap(blocks.first).split { $0.isWhitespace }.map(String.init)
        let run = try exec(["--"] + words)
        run.assertStatus(0)
        XCTAssertEqual("text\n" + run.outputText, blocks.dropFirst(2).first)
    }
}
