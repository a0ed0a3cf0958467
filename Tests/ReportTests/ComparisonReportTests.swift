@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// Two runs side by side.
final class ComparisonReportTests: XCTestCase {
    private func report(_ first: RunOutcome, _ second: RunOutcome, names: (String, String)) throws -> String {
        ComparisonReport(try .ofTwo(recorded(first), recorded(second), names: names)).text
    }

    private func recorded(_ outcome: RunOutcome) throws -> RecordedStatistics {
        try RecordedStatistics(json: RunRecord(outcome, leaves: .f22, context: ReportExample.context).json())
    }

    func testGoldenComparison() throws {
        let first = RunOutcome.example(
            [[.init(.portOut, [100, 300]), .init(.hlt, [50]), .init(.rdmsr, [1000])]], runCycles: 4000)
        let second = RunOutcome.example(
            [[.init(.portOut, [100, 300, 500]), .init(.hlt, [50]), .init(.cpuid, [70])]], runCycles: 2000,
            tscKHz: 3_000_000)
        XCTAssertEqual(
            try report(first, second, names: ("a.json", "b.json")),
            """
            A: a.json, guest <it's>.bin, 250 ms
            B: b.json, guest <it's>.bin, 250 ms

            exit       exits A  B  change  cycles A      B   change  mean A    B  change
            rdmsr            1  0    gone     1.00k      0     gone   1.00k    -    gone
            io_out           2  3  +50.0%       400    900  +125.0%     200  300  +50.0%
            cpuid            0  1     new         0     70      new       -   70     new
            hlt              1  1       =        50     50        =      50   50       =
            total            4  5  +25.0%     1.45k  1.02k   -29.7%     363  204  -43.7%
            (KVM_RUN)                         4.00k  2.00k   -50.0%

            The time-stamp counters differ (A: 2000 MHz, B: 3000 MHz): cycles are not the same time.

            """)
    }

    func testChanges() {
        for (first, second, text) in [
            (1.0, 1.0, "="), (0, 0, "="), (0, 1, "new"), (1, 0, "gone"), (100, 112.3, "+12.3%"), (100, 50, "-50.0%"),
            (1, 3, "x3"), (2, 25, "x12.5"),
        ] {
            XCTAssertEqual(ComparisonReport.change(first, second), text)
        }
    }

    func testWhatIsNoRecord() {
        for (text, error): (String, RecordError) in [
            ("", .notARecord), ("[]", .notARecord), ("{\"schema\": 1}", .notARecord), ("\u{0}\u{1}", .notARecord),
            (#"{"schema":2,"kinds":[],"total":{"run_cycles":0},"duration_ns":0,"tsc_khz":null}"#, .wrongSchema(2)),
        ] {
            XCTAssertThrowsError(try RecordedStatistics(json: Array(text.utf8)), text) { thrown in
                XCTAssertEqual(thrown as? RecordError, error)
            }
        }
    }

    func testCommand() throws {
        try TestBed.skipWhereEmulated()
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        let path = folder.path("a.json")
        try CommandLineRun(["run", "--guest", "hello", "--report", path]).assertStatus(0)
        let same = try CommandLineRun(["compare", path, path])
        same.assertStatus(0)
        XCTAssertTrue(same.outputText.contains(#/\nio_out +22  22 +=  /#), same.outputText)
        try CommandLineRun(["compare", path, folder.path("none")]).assertStatus(66)
        try CommandLineRun(["compare", path, folder.file("x", [1, 2])]).assertStatus(65)
        try CommandLineRun(["compare", path]).assertStatus(64)
        try CommandLineRun(["compare", path, path, path]).assertStatus(64)
        try CommandLineRun(["compare", path, path, "--"]).assertStatus(64)
        let several = try CommandLineRun(["compare", "--json", path, path, path, "--", path, path])
        several.assertStatus(0)
        let record = try JSONValue(several.output)
        XCTAssertEqual(try JSONSchema(file: "compare.schema.json").problems(of: record), [])
        XCTAssertEqual([record["a"], record["b"]].map { $0?["runs"]?.integer }, [3, 2])
    }
}

extension Comparison {
    /// One run on each side.
    static func ofTwo(
        _ first: RecordedStatistics, _ second: RecordedStatistics, names: (String, String) = ("a", "b"),
        rules: [GateRule] = []
    ) throws -> Comparison {
        Comparison(
            try XCTUnwrap(RunGroup([first])), try XCTUnwrap(RunGroup([second])), names: ([names.0], [names.1]),
            rules: rules)
    }
}
