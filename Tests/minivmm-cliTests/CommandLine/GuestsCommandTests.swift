@testable import Boot
@testable import TestSupport
import XCTest

final class GuestsCommandTests: XCTestCase {
    func testListNamesEveryGuestWithItsSummary() throws {
        let run = try CommandLineRun(["guests", "list"])
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "")
        let lines = run.outputText.split(separator: "\n")
        XCTAssertEqual(lines.count, BuiltInGuest.all.count)
        for (line, guest) in zip(lines, BuiltInGuest.all) {
            XCTAssertTrue(line.hasPrefix(guest.name + " "), "\(line)")
            XCTAssertTrue(line.hasSuffix("  " + guest.summary), "\(line)")
            XCTAssertLessThanOrEqual(line.count, 80)
        }
    }

    func testListIsWhatGuestsDoesByDefault() throws {
        XCTAssertEqual(try CommandLineRun(["guests"]).output, try CommandLineRun(["guests", "list"]).output)
    }

    func testListAsJSON() throws {
        let run = try CommandLineRun(["guests", "--json"])
        run.assertStatus(0)
        let record = try JSONValue(run.output)
        XCTAssertEqual(try JSONSchema(file: "guests.schema.json").problems(of: record), [])
        XCTAssertEqual(record["guests"]?[0]?["name"]?.string, BuiltInGuest.all.first?.name)
        XCTAssertEqual(record["guests"]?[0]?["bytes"]?.integer, BuiltInGuest.all.first.map { Int64($0.image.count) })
    }

    func testDumpWritesTheImageToStandardOutput() throws {
        for guest in BuiltInGuest.all {
            let run = try CommandLineRun(["guests", "dump", guest.name])
            run.assertStatus(0)
            XCTAssertEqual(run.output, guest.image, guest.name)
            XCTAssertEqual(run.errors, "")
        }
    }

    func testDumpWritesTheImageToAFile() throws {
        let folder = try makeFolder()
        let expected = try XCTUnwrap(BuiltInGuest(named: "boot-sector")).image
        for option in ["-o", "--output"] {
            // The second time the file exists, and is replaced.
            _ = try folder.file("image", [UInt8](repeating: 0xff, count: 2000))
            let run = try CommandLineRun(["guests", "dump", "boot-sector", option, folder.path("image")])
            run.assertStatus(0)
            XCTAssertEqual(run.output, [])
            XCTAssertEqual(try folder.bytes("image"), expected)
        }
    }

    func testDumpToAFileThatCannotBeMade() throws {
        let run = try CommandLineRun(["guests", "dump", "hello", "-o", "/nonexistent/image"])
        run.assertStatus(74)
        XCTAssertTrue(run.errors.contains("/nonexistent/image cannot be written (ENOENT"), run.errors)
    }

    func testDumpToAFullDisk() throws {
        let run = try CommandLineRun(["guests", "dump", "hello"], output: .file("/dev/full"))
        run.assertStatus(74)
        XCTAssertTrue(run.errors.contains("standard output cannot be written (ENOSPC"), run.errors)
    }

    func testDumpSparesATerminal() throws {
        let terminal = try PseudoTerminal()
        let run = try CommandLineRun(["guests", "dump", "hello"], output: .file(terminal.path))
        run.assertStatus(64)
        XCTAssertTrue(run.errors.contains("Standard output is a terminal"), run.errors)
        XCTAssertTrue(run.errors.contains("--output"), run.errors)
    }

    func testUnknownNameIsRefusedWithTheKnownOnes() throws {
        let run = try CommandLineRun(["guests", "dump", "nope"])
        run.assertStatus(64)
        XCTAssertEqual(run.output, [])
        XCTAssertTrue(run.errors.contains("`nope`"), run.errors)
        for guest in BuiltInGuest.all { XCTAssertTrue(run.errors.contains(guest.name), run.errors) }
    }
}
