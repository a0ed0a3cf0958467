@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// The trace file, to the letter, and of a run.
final class TraceReportTests: XCTestCase {
    private func text(_ trace: ExitTrace, tscKHz: UInt32?) -> [UInt8] {
        var text: [UInt8] = []
        TraceReport(trace, tscKHz: tscKHz).write { text += $0 }
        return text
    }

    func testGoldenTrace() {
        XCTAssertEqual(
            String(decoding: text(ReportExample.trace, tscKHz: 2_000_000), as: UTF8.self),
            """
            {"displayTimeUnit":"ns","otherData":{"program":"MiniVMM","tsc_khz":2000000,"lost_exits":2},"traceEvents":[
            {"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":"guest"}},
            {"name":"thread_name","ph":"M","pid":1,"tid":0,"args":{"name":"vCPU 0"}},
            {"name":"io_out","cat":"exit","ph":"X","pid":1,"tid":0,"ts":0.250,"dur":0.001,\
            "args":{"cycles":3,"port":"0x3f8","size":1,"count":1}},
            {"name":"mmio_read","cat":"exit","ph":"X","pid":1,"tid":0,"ts":0.251,"dur":2.300,\
            "args":{"cycles":4600,"address":"0xfee00000","size":4}},
            {"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"vCPU 1"}},
            {"name":"cpuid","cat":"exit","ph":"X","pid":1,"tid":1,"ts":0.000,"dur":1000.000,\
            "args":{"cycles":2000000,"leaf":"0x4ffffffc","subleaf":"0xa"}}
            ]}

            """)
    }

    func testWithoutAFrequencyACycleIsANanosecond() {
        let text = String(decoding: text(ReportExample.trace, tscKHz: nil), as: UTF8.self)
        XCTAssertTrue(text.contains("\"tsc_khz\":null"))
        XCTAssertTrue(text.contains("\"ts\":0.503,\"dur\":4.600"), text)
    }

    func testLongTracesComeInPieces() {
        let event = ReportExample.trace.tracks[0].events[0]
        let track = ExitTrace.Track(vcpu: 0, events: [TraceEvent](repeating: event, count: 5000), lostCount: 0)
        var pieces: [Int] = []
        TraceReport(ExitTrace(tracks: [track], origin: 0), tscKHz: 1).write { pieces.append($0.count) }
        XCTAssertGreaterThan(pieces.count, 5)
        XCTAssertLessThan(pieces.max() ?? 0, 70_000)
    }

    /// The longest line that numbers can make has room, also at the end of a piece.
    func testLongestLines() throws {
        try TestBed.skipWhereEmulated()
        // One of each form.
        for kind in [ExitKind.portOut, .mmioRead, .cpuid, .wrmsr, .debug, .hlt, .unknown] {
            var event = TraceEvent(start: .max, cycles: .max, subject: .max, extra: .max, width: .max)
            event.kindNumber = UInt8(kind.rawValue)
            let track = ExitTrace.Track(vcpu: .max, events: [TraceEvent](repeating: event, count: 600), lostCount: 0)
            var pieces: [[UInt8]] = []
            TraceReport(ExitTrace(tracks: [track], origin: 0), tscKHz: 1).write { pieces.append(Array($0)) }
            XCTAssertGreaterThan(pieces.count, 4, "more than one of them with exits")
            let lines = Array(pieces.joined()).split(separator: UInt8(ascii: "\n")).dropFirst(3).dropLast()
            XCTAssertEqual(lines.count, 600, kind.name)
            let line = try XCTUnwrap(lines.last)
            XCTAssertEqual(try JSONValue(Array(line))["name"]?.string, kind.name)
            XCTAssertTrue(lines.dropLast().allSatisfy { $0.dropLast() == line })
        }
    }

    /// Parsed again: the numbers of a run's file are the run's.
    func testFileOfARunAgreesWithItsCounters() throws {
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        let files = ["--report", folder.path("r.json"), "--trace", folder.path("t.json"), "--stats", "none"]
        try CommandLineRun(["run", "--guest", "counters"] + files).assertStatus(0)
        let record = try JSONValue(folder.bytes("r.json"))
        let trace = try JSONValue(folder.bytes("t.json"))
        let events = (trace["traceEvents"]?.elements ?? []).filter { $0["ph"]?.string == "X" }
        let kinds = record["kinds"]?.elements ?? []
        XCTAssertEqual(trace["otherData"]?["lost_exits"]?.integer, 0)
        XCTAssertGreaterThan(kinds.count, 3)
        for kind in kinds {
            let own = events.filter { $0["name"] == kind["kind"] }
            XCTAssertEqual(Int64(own.count), kind["exits"]?.integer)
            let cycles = own.compactMap { $0["args"]?["cycles"]?.integer }.reduce(0, +)
            XCTAssertEqual(cycles, kind["service_cycles"]?.integer)
        }
        let spans = try events.map { event in
            let start = try nanoseconds(event["ts"])
            return start..<(start + (try nanoseconds(event["dur"])))
        }
        for (span, next) in zip(spans, spans.dropFirst()) {
            XCTAssertLessThanOrEqual(span.upperBound, next.lowerBound)
        }
    }

    /// A time of a trace, which is in microseconds with three digits after the point.
    private func nanoseconds(_ value: JSONValue?) throws -> Int64 {
        switch value {
        case .integer(let value): return value * 1000
        case .number(let value): return Int64((value * 1000).rounded())
        default: throw XCTSkip("not a number: \(String(describing: value))")
        }
    }
}
