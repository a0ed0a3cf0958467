@testable import TestSupport
import XCTest

/// `--report`, `--trace`, `--trace-events` and `--trace-kernel`.
final class ReportOptionTests: XCTestCase {
    func testFilesOfEveryForm() throws {
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        let names = ["r.html", "R.JSON", "r.csv"]
        let run = try CommandLineRun(["run", "--guest", "hello"] + names.flatMap { ["--report", folder.path($0)] })
        run.assertStatus(0)
        XCTAssertTrue(run.errors.contains("23 exits in "), "the table is shown all the same")
        let html = String(decoding: try folder.bytes("r.html"), as: UTF8.self)
        XCTAssertTrue(html.hasPrefix("<!DOCTYPE html>"))
        XCTAssertTrue(html.hasSuffix("</html>\n"))
        let record = try JSONValue(folder.bytes("R.JSON"))
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        XCTAssertEqual(record["context"]?["guest"]?.string, "hello")
        let csv = String(decoding: try folder.bytes("r.csv"), as: UTF8.self)
        XCTAssertTrue(csv.hasPrefix("vcpu,kind,sdm,exits,"))
    }

    func testOtherEndingsAreRefused() throws {
        try TestBed.skipWhereEmulated()
        for name in ["report", "report.txt", "html", "a.json.gz"] {
            let run = try CommandLineRun(["run", "--guest", "hello", "--report", name])
            run.assertStatus(64)
            XCTAssertTrue(run.errors.contains("--report takes a file whose name ends in .html, .json or .csv"))
        }
        for number in ["0", "-1", "67108865"] {
            try CommandLineRun(["run", "--guest", "hello", "--trace-events=\(number)"]).assertStatus(64)
        }
    }

    func testATraceOfKVMNeedsATraceAndEveryExit() throws {
        try TestBed.skipWhereEmulated()
        let trace = ["--trace", try makeFolder().path("t.json"), "--trace-kernel"]
        for (options, words) in [
            (["run", "--guest", "hello", "--trace-kernel", "--exits", "all"], "--trace-kernel needs --trace."),
            (["run", "--guest", "hello"] + trace, "--trace-kernel needs --exits all, or auto."),
            (["exec", "--exits", "total"] + trace + ["--", "true"], "--trace-kernel needs --exits all, or auto."),
        ] {
            let run = try CommandLineRun(options)
            run.assertStatus(64)
            XCTAssertTrue(run.errors.contains(words), run.errors)
        }
    }

    func testAWrongPathDoesNotCostARun() throws {
        try TestBed.skipWhereEmulated()
        _ = try TestKVM.shared()
        for option in [["--report", "/nonexistent/r.html"], ["--trace", "/nonexistent/t.json"]] {
            let run = try CommandLineRun(["run", "--guest", "hello"] + option)
            run.assertStatus(74)
            XCTAssertEqual(run.outputText, "")
        }
    }

    func testAShortTraceSaysWhatIsMissing() throws {
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        let trace = ["--trace", folder.path("t.json"), "--trace-events", "16"]
        try CommandLineRun(["run", "--guest", "hello"] + trace).assertStatus(0)
        XCTAssertEqual(try JSONValue(folder.bytes("t.json"))["otherData"]?["lost_exits"]?.integer, 23 - 16)
    }
}
