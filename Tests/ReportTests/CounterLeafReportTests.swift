@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// What the reports say of a guest's questions to the counter leaves.
final class CounterLeafReportTests: XCTestCase {
    private func outcome(
        _ layout: CounterLeaves, _ numbering: ExitNumbering, _ questions: [(leaf: UInt32, ecx: [UInt32])]
    ) -> RunOutcome {
        var tally = CounterLeafTally()
        for (leaf, ecx) in questions {
            for ecx in ecx { tally.ask(leaf: leaf, ecx: ecx) }
        }
        var outcome = RunOutcome.example([[.init(.cpuid, [100])]])
        outcome.counterLeaves = CounterLeafUse(layout: layout, numbering: numbering, [tally])
        return outcome
    }

    func testLayoutIsNamed() {
        let text = TextReport(outcome(.f22, .sdm, [(0x4fff_fffc, [0]), (0x4fff_fffe, [10, 30, 10])])).text
        XCTAssertTrue(
            text.contains(
                """

                Counter leaves, layout f22: asked 0x4FFFFFFC once, 0x4FFFFFFE 3 times with ECX 10 to 30.
                1 exit in 250 ms; the guest halted.

                """), text)
    }

    func testAnotherLayoutIsAskedFor() {
        let sweep = Array(UInt32(0)...69)
        let text = TextReport(outcome(.f22, .sdm, [(0x4fff_fffe, sweep), (0x4fff_ffff, [0])])).text
        XCTAssertTrue(
            text.contains(
                "\nCounter leaves, layout f22: asked 0x4FFFFFFE 70 times with ECX 0 to 69, 0x4FFFFFFF once with ECX 0: "
                    + "is this layout s21?\n"), text)
        let either = TextReport(outcome(.f21, .svm, [(0x4fff_fffe, sweep)])).text
        XCTAssertTrue(
            either.contains(
                "\nCounter leaves, layout f21, types by SVM's exit codes: asked 0x4FFFFFFE 70 times with ECX 0 to 69: "
                    + "is this layout f22 or s21?\n"), either)
    }

    func testHTMLSaysTheSame() {
        let html = HTMLReport(
            outcome(.f22, .sdm, [(0x4fff_fffc, Array(0...7))]), leaves: .f22, context: ReportExample.context
        ).text
        XCTAssertTrue(
            html.contains(
                "<dt>Note</dt><dd>Counter leaves, layout f22: asked 0x4FFFFFFC 8 times with ECX 0 to 7: "
                    + "is this layout f21?</dd>"))
    }

    func testNothingIsSaidWhenNothingWasAsked() throws {
        XCTAssertFalse(TextReport(.example([[]])).text.contains("Counter leaves"))
        XCTAssertNil(try JSONValue(RunRecord(.example([[]]), leaves: .f22).json())["counter_leaves"])
    }

    func testRecordIsThatOfTheSchema() throws {
        let schema = try JSONSchema(file: "run.schema.json")
        let sweep = Array(UInt32(0)...69)
        let record = try JSONValue(
            RunRecord(outcome(.s21, .svm, [(0x4fff_fffd, sweep), (0x4fff_ffff, [.max])]), leaves: .s21).json())
        XCTAssertEqual(schema.problems(of: record), [])
        XCTAssertEqual(record["leaves"]?.string, "s21")
        let leaves = try XCTUnwrap(record["counter_leaves"])
        XCTAssertEqual(
            leaves,
            try JSONValue(
                """
                {
                  "exit_types": "svm",
                  "asked": [
                    {"leaf": 1342177277, "count": 70, "min_ecx": 0, "max_ecx": 69},
                    {"leaf": 1342177279, "count": 1, "min_ecx": 4294967295, "max_ecx": 4294967295}
                  ],
                  "likelier_layouts": ["f21"]
                }
                """))
        guard case .object(let members) = record else { return XCTFail("no object") }
        let damages = JSONDamage.all(of: leaves)
        XCTAssertGreaterThan(damages.count, 20)
        for damage in damages {
            let damaged = JSONValue.object(members.merging(["counter_leaves": damage.value]) { $1 })
            XCTAssertNotEqual(schema.problems(of: damaged), [], damage.what)
        }
    }
}
