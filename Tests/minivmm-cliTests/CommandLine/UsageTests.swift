@testable import Report
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// Wrong arguments: status 64, nothing on standard output, and the reason on standard error.
final class UsageTests: XCTestCase {
    private func check(_ arguments: [String], says words: String..., line: UInt = #line) throws {
        let run = try CommandLineRun(arguments)
        run.assertStatus(64, "\(arguments)", line: line)
        XCTAssertEqual(run.output, [], "\(arguments)", line: line)
        for word in words { XCTAssertTrue(run.errors.contains(word), "\(arguments): \(run.errors)", line: line) }
    }

    func testCommands() throws {
        try check(["bogus"], says: "'bogus'", "There are: run, exec,")
        try check(["comapre", "a", "b"], says: "There is no command 'comapre'. Did you mean `compare`?")
        try check(["rn"], says: "Did you mean `run`?")
        XCTAssertFalse(try CommandLineRun(["bogus"]).errors.contains("Did you mean"))
        try check(["--bogus"], says: "'--bogus'")
        try check(["doctor", "extra"], says: "'extra'")
        try check(["guests", "list", "extra"], says: "'extra'")
        try check(["guests", "dump"], says: "<name>")
    }

    func testWhichGuest() throws {
        try TestBed.skipWhereEmulated()
        try check(["run"], says: "--guest NAME")
        try check(["run", "image.bin", "--guest", "hello"], says: "not both")
        try check(["run", "one.bin", "two.bin"], says: "'two.bin'")
        try check(["run", "--guest", "nope"], says: "There is no built-in guest `nope`. There are: hello, counters,")
        try check(["run", "--guest"], says: "--guest")
    }

    func testValuesOfOptions() throws {
        try TestBed.skipWhereEmulated()
        for (option, value) in [
            ("--leaves", "f23"), ("--exit-types", "amd"), ("--cpuid-trap", "all"),
            ("--cpuid-site", "0xzz"), ("--cpuid-site", "-1"),
            ("--stats", "xml"), ("--log-level", "loud"), ("--argument", "-1"), ("--argument", "4294967296"),
            ("--entry", "7c00"), ("--entry", "0:10000"), ("--load-address", "0xg"),
            ("--load-address", "0x10000000000000000"), ("--memory", "12Q"), ("--memory", "-5"), ("--memory", "0"),
            ("--memory", "16777216T"), ("--timeout", "soon"),
        ] {
            try check(["run", "--guest", "hello", "\(option)=\(value)"], says: "'\(value)'", option)
        }
        try check(["run", "--guest", "hello", "--bogus"], says: "'--bogus'")
    }

    func testTimeoutsThatAreNone() throws {
        try TestBed.skipWhereEmulated()
        for value in ["0", "-1", "nan", "inf", "1e9"] {
            try check(["run", "--guest", "hello", "--timeout=\(value)"], says: "--timeout takes a number of seconds")
        }
    }

    func testHelpAndVersion() throws {
        try TestBed.skipWhereEmulated()
        for arguments in [["--help"], ["run", "--help"], ["guests", "dump", "-h"], ["help", "doctor"], []] {
            let run = try CommandLineRun(arguments)
            run.assertStatus(0)
            XCTAssertTrue(run.outputText.hasPrefix("OVERVIEW: "), "\(arguments): \(run.outputText)")
            XCTAssertEqual(run.errors, "")
        }
        let version = try CommandLineRun(["--version"])
        version.assertStatus(0)
        XCTAssertEqual(version.outputText, "\(ReportMaker.title)\n")
    }

    func testHelpNamesEveryExitStatus() throws {
        try TestBed.skipWhereEmulated()
        let words = try CommandLineRun(["run", "--help"]).outputText
            .split { !$0.isNumber }
        for status in [1, 64, 65, 66, 69, 70, 71, 74, 124, 130, 143] {
            XCTAssertTrue(words.contains("\(status)"), "\(status)")
        }
    }
}
