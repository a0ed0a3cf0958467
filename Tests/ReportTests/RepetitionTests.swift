@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// What several runs of one command come to, from fixed numbers.
final class RepetitionTests: XCTestCase {
    private func record(_ outs: Int, _ milliseconds: Int, ending: RunEnding = .halted) throws -> [UInt8] {
        let outcome = RunOutcome.example(
            [[.init(.portOut, Array(repeating: 100, count: outs)), .init(.interrupted, [7])]], ending: ending,
            runCycles: 2000, duration: .milliseconds(milliseconds))
        return try RunRecord(outcome, leaves: .f22, context: ReportExample.context).json()
    }

    func testGoldenReport() throws {
        let times = [20, 21, 19, 20, 60]
        let records = try times.enumerated().map { index, time in
            try record(index == 2 ? 4 : 3, time, ending: index == 1 ? .timeout : .halted)
        }
        let repetition = try Repetition(records: records, warmupCount: 2)
        XCTAssertEqual(
            repetition.text(.plain),
            """
            5 runs after 2 to warm up: 20.0 ms (19.0 ms to 60.0 ms).

            exit       count  least  most  cycles  least   most  spread
            io_out         3      3     4     300    300    400   33.3%
            intr           1      =     =       7      7      7    0.0%
            total          4      4     5     307    307    407   32.6%
            (KVM_RUN)                       2.00k  2.00k  2.00k    0.0%

            Outlier: run 5, 60.0 ms; the median is 20.0 ms.
            Outlier: run 3, 4 io_out; the median is 3 io_out.
            Not all ended alike: the guest halted (4), the timeout was reached (1).

            """)
    }

    func testJSONHasAllRuns() throws {
        let records = try [20, 21, 19].map { try record(3, $0) }
        let json = try Repetition(records: records, warmupCount: 1).json()
        let value = try JSONValue(json)
        XCTAssertEqual(try JSONSchema(file: "runs.schema.json").problems(of: value), [])
        XCTAssertEqual(value["runs"]?.elements, try records.map { try JSONValue($0) })
        XCTAssertEqual(value["summary"]?["duration_ns"]?["median"]?.integer, 20_000_000)
        XCTAssertEqual(value["warmup"]?.integer, 1)
        XCTAssertEqual(value["outliers"]?.elements, [])
        XCTAssertEqual(
            try ReportedRun.all(json: json).map(\.durationNanoseconds), [20_000_000, 21_000_000, 19_000_000])
        XCTAssertThrowsError(try ReportedRun(json: json), "several are not one")
        XCTAssertEqual(try ReportedRun(json: records[1]).total.exits, 4)
        XCTAssertEqual(try RecordedStatistics.all(json: json).count, 3)
    }

    /// Nothing of four runs is an outlier, nor of runs of which no half agrees.
    func testWhatIsNoOutlier() throws {
        let few = try [1, 1, 1, 50].map { try record($0, $0) }
        XCTAssertEqual(try Repetition(records: few, warmupCount: 0).outliers, [])
        let all = try [1, 2, 3, 4, 5].map { try record($0, 20) }
        XCTAssertEqual(try Repetition(records: all, warmupCount: 0).outliers, [])
        let near = try [100, 100, 100, 100, 104].map { try record(1, $0) }
        XCTAssertEqual(try Repetition(records: near, warmupCount: 0).outliers, [])
    }

    func testWhatIsNoRepetition() throws {
        XCTAssertThrowsError(try Repetition(records: [], warmupCount: 0))
        XCTAssertThrowsError(try Repetition(records: [record(1, 1), Array("{}".utf8)], warmupCount: 0))
        for text in [#"{"schema":1,"runs":[]}"#, #"{"schema":1,"runs":3}"#, #"{"schema":2,"runs":[]}"#] {
            XCTAssertThrowsError(try ReportedRun.all(json: Array(text.utf8)), text)
        }
    }
}
