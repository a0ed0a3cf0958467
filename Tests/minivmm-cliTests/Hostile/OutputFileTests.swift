import Glibc
@testable import TestSupport
import XCTest

/// Files that are written: whole or not at all, and never over what is read.
final class OutputFileTests: KVMTestCase {
    func testAnOldReportSurvivesARunThatFails() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let report = try folder.file("r.json", Array("old".utf8))
        let damaged = try folder.file("empty.bin", [])
        try CommandLineRun(["run", damaged, "--report", report]).assertStatus(65)
        XCTAssertEqual(try folder.bytes("r.json"), Array("old".utf8))
        try CommandLineRun(["run", "--guest", "hello", "--report", report]).assertStatus(0)
        XCTAssertEqual(try folder.bytes("r.json").first, UInt8(ascii: "{"))
        XCTAssertEqual(try Set(folder.names()), ["r.json", "empty.bin"])
    }

    /// The table cannot be written, nor can one of the reports: the others are.
    func testEveryOutputIsWrittenWhateverBecameOfAnother() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let names = ["a.html", "b.json", "c.csv"]
        let files = names.flatMap { ["--report", folder.path($0)] } + ["--trace", folder.path("t.json")]
        let run = try CommandLineRun(
            ["run", "--guest", "hello", "--profile", folder.path("p.folded")] + files,
            under: ["/bin/sh", "-c", "exec \"$@\" 2>/dev/full", "sh"])
        run.assertStatus(74)
        for name in names + ["t.json", "p.folded"] { XCTAssertFalse(try folder.bytes(name).isEmpty, name) }
        XCTAssertEqual(symlink("/dev/full", folder.path("full.json")), 0)
        let other = try CommandLineRun(
            ["run", "--guest", "hello", "--report", folder.path("full.json"), "--report", folder.path("d.csv")])
        other.assertStatus(74)
        XCTAssertFalse(try folder.bytes("d.csv").isEmpty)
        XCTAssertTrue(other.errors.contains("full.json cannot be written (ENOSPC"), other.errors)
        XCTAssertTrue(other.errors.hasPrefix("\nAn exit took "), other.errors)
    }

    func testModeAndLinksStay() throws {
        let folder = try makeFolder()
        let real = try folder.file("real.csv", [])
        chmod(real, 0o640)
        XCTAssertEqual(symlink("real.csv", folder.path("link.csv")), 0)
        try CommandLineRun(["run", "--guest", "hello", "--report", folder.path("link.csv")]).assertStatus(0)
        var status = stat()
        XCTAssertEqual(lstat(folder.path("link.csv"), &status), 0)
        XCTAssertEqual(status.st_mode & S_IFMT, S_IFLNK)
        XCTAssertEqual(stat(real, &status), 0)
        XCTAssertEqual(status.st_mode & 0o777, 0o640)
        XCTAssertFalse(try folder.bytes("real.csv").isEmpty)
    }

    func testAnOutputIsNoInputAndNoOtherOutput() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let image = try folder.file("g.json", TinyGuest.printer)
        XCTAssertEqual(symlink("g.json", folder.path("alias.json")), 0)
        for arguments in [
            [image, "--report", image], [image, "--stats-file", folder.path("alias.json")],
            ["--guest", "hello", "--report", folder.path("new.json"), "--trace", folder.path("./new.json")],
            ["--guest", "hello", "--report", folder.path("a.csv"), "--report", folder.path("a.csv")],
        ] {
            let run = try CommandLineRun(["run"] + arguments)
            run.assertStatus(64)
            XCTAssertTrue(run.errors.contains("one file") || run.errors.contains("written twice"), run.errors)
        }
        XCTAssertEqual(try folder.bytes("g.json"), TinyGuest.printer)
        // What is no file can be written to by several.
        try CommandLineRun(["run", "--guest", "hello", "--stats-file", "/dev/null", "--trace", "/dev/null"])
            .assertStatus(0)
    }

    func testALimitOnTheSizeOfFiles() throws {
        let folder = try makeFolder()
        let image = try folder.file("printer.bin", TinyGuest.printer)
        let run = try CommandLineRun(
            command: [
                "/bin/sh", "-c", "ulimit -f 4; exec \"$0\" run \"$1\" --timeout 20 >\"$2\"", MiniVMMExecutable.path(),
                image, folder.path("out"),
            ])
        run.assertStatus(74)
        XCTAssertTrue(run.errors.contains("EFBIG"), run.errors)
    }
}
