import Foundation
@testable import TestSupport
import XCTest

/// What the README shows is what happens.
final class ReadmeTests: KVMTestCase {
    private static func lines(_ path: String) throws -> [String] {
        try String(decoding: RepositoryFile.bytes(path), as: UTF8.self).components(separatedBy: "\n")
    }

    /// The README's block of the given language that contains a text.
    private func block(_ language: String, with text: String) throws -> [String] {
        let blocks = try Self.lines("README.md").split(separator: "```\(language)").dropFirst()
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
        // The first block builds: this is the build of the tests.
        let parts = section.split(separator: "```sh").dropFirst(2)
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
            // What KVM itself counts, and whether a run was an outlier, differs from host to host and from time to time.
            XCTAssertEqual(shape(shown.map { $0 }), shape(run.outputText.components(separatedBy: "\n")), commands)
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

    func testBootSectorInHexadecimal() throws {
        let command = try XCTUnwrap(block("sh", with: "xxd -r -p").first { $0.contains("xxd -r -p") })
        let words = try XCTUnwrap(command.split(separator: "'").dropFirst().first).split(separator: " ")
        let image = words.compactMap { UInt8($0, radix: 16) }
        XCTAssertEqual(image.count, words.count)
        let run = try CommandLineRun(["run", makeFolder().file("tiny.bin", image), "--stats", "none"])
        run.assertStatus(0)
        XCTAssertEqual(run.outputText, "Hi!\n")
    }

    /// The README's source for the GNU assembler, by the command that stands before it: it has no complaints.
    func testBootSectorForTheGNUAssembler() throws {
        for tool in ["/usr/bin/as", "/usr/bin/ld"] where access(tool, X_OK) != 0 {
            throw XCTSkip("there is no \(tool) here")
        }
        let source = try block("gas", with: ".code16").joined(separator: "\n") + "\n"
        let line = try XCTUnwrap(Self.lines("README.md").first { $0.contains("`as hello.s") })
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

    func testEveryOptionOfTheCommandIsNamed() throws {
        try TestBed.skipWhereEmulated()
        let readme = try Self.lines("README.md").joined(separator: "\n")
        for command in [["run"], ["watch"], ["doctor"], ["compare"], ["guests"], ["guests", "dump"]] {
            let help = try CommandLineRun(command + ["--help"]).outputText
            for word in help.split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "-") })
            where word.hasPrefix("--") && word != "--version" && word != "--help" {
                XCTAssertTrue(readme.contains("`\(word)") || readme.contains(" \(word)"), "\(command): \(word)")
            }
        }
    }
}
