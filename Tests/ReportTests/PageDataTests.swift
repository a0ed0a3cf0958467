@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// What the page's script is given, and that it does not grow with the run.
final class PageDataTests: XCTestCase {
    private func page(_ outcome: RunOutcome) -> String {
        HTMLReport(outcome, leaves: .f22, context: ReportExample.context).text
    }

    private func data(_ outcome: RunOutcome) throws -> JSONValue { try data(page(outcome)) }

    private func data(_ text: String) throws -> JSONValue {
        let start = try XCTUnwrap(text.range(of: "<script type=\"application/json\" id=\"data\">"))
        let end = try XCTUnwrap(text[start.upperBound...].range(of: "</script>"))
        return try JSONValue(String(text[start.upperBound..<end.lowerBound]))
    }

    private func place(
        _ vcpu: Int, _ exit: ExitPlaces.Exit, _ address: UInt64, _ subject: ExitPlaces.Subject?, _ exits: UInt64
    ) -> ExitPlaces.Place {
        var histogram = [UInt64](repeating: 0, count: ExitPlaces.bucketCount)
        histogram[4] = exits
        return ExitPlaces.Place(
            vcpu: vcpu, exit: exit, address: address, subject: subject, exits: exits, time: exits * 20,
            histogram: histogram)
    }

    private var outcome: RunOutcome {
        var outcome = ReportExample.outcome
        outcome.timeline?.vcpus = [
            .init(series: [.init(kind: .portOut, exits: [2, 0]), .init(kind: .hlt, exits: [0, 1])]),
            .init(series: [.init(kind: .portOut, exits: [0, 1])]),
        ]
        outcome.places = ExitPlaces(
            places: [
                place(0, .minivmm(.portOut), 0x7c00, .port(0x80), 2), place(0, .minivmm(.hlt), 0x7c05, nil, 1),
                place(1, .minivmm(.portOut), 0x7c00, .port(0x80), 1),
            ], cyclesPerNanosecond: 2)
        return outcome
    }

    func testNumbers() throws {
        XCTAssertEqual(
            try data(outcome),
            try JSONValue(
                """
                {
                  "groups": ["io_out", "hlt"], "vcpus": 2,
                  "rows": [
                    {"group": 0, "kvm": false, "color": "k0", "exits": [2, 1], "time": [400, 200]},
                    {"group": 1, "kvm": false, "color": "k4", "exits": [1, 0], "time": [50, 0]}
                  ],
                  "times": ["0", "8.19 us", "16.4 us"], "rate": 122070.3125,
                  "series": [
                    {"name": "io_out", "group": 0, "kvm": false, "color": "k0", "exits": [2, 1], "vcpus": [[2, 0], [0, 1]]},
                    {"name": "hlt", "group": 1, "kvm": false, "color": "k4", "exits": [0, 1], "vcpus": [[0, 1], []]}
                  ],
                  "stacks": [
                    {
                      "frames": ["<it's>.bin", "0x7c00", "io_out, port 0x80 (POST code)"], "group": 0, "color": "k0",
                      "exits": [2, 1]
                    },
                    {"frames": ["<it's>.bin", "0x7c05", "hlt"], "group": 1, "color": "k4", "exits": [1, 0]}
                  ],
                  "places": {
                    "details": [
                      {"0": ["2", "66.7%", "20ns", "16ns", "16ns"], "1": ["1", "100%", "10ns", "16ns", "16ns"]},
                      {"0": ["1", "33.3%", "10ns", "16ns", "16ns"]}
                    ],
                    "code": [
                      {"0": ["2", "66.7%", "20ns", "16ns", "16ns"], "1": ["1", "100%", "10ns", "16ns", "16ns"]},
                      {"0": ["1", "33.3%", "10ns", "16ns", "16ns"]}
                    ]
                  }
                }
                """))
    }

    func testTablesOfPlaces() {
        let text = page(outcome)
        for part in [
            "<h2>Where exits come from</h2>", "<table data-places=\"details\">",
            "<tr data-group=\"0\"><td>port 0x80 (POST code)</td><td class=\"word\"><span class=\"kind\">"
                + "<i class=\"k0\"></i>io_out</span></td><td>3</td><td>75.0%</td><td>30.0ns</td><td>16ns</td><td>16ns</td></tr>",
            "<tr data-group=\"1\"><td>0x7c05</td>", "title=\"all: 4 exits, 100%\"",
            "title=\"0x7c00: 3 exits, 75.0%\"",
        ] {
            XCTAssertTrue(text.contains(part), part)
        }
        XCTAssertFalse(page(ReportExample.outcome).contains("Where exits come from"))
    }

    /// A guest's names get into the page from its symbols and its devices.
    func testHostileFunctionsStayText() {
        let hostile = "</script><script>alert(1)</script>\"'&\u{1}"
        var outcome = outcome
        outcome.places?.name { _ in .init(name: hostile, offset: 0) }
        outcome.places?.claims = [.init(name: hostile, isPort: true, first: 0x80, last: 0x80)]
        let text = HTMLReport(outcome, leaves: .f22, context: ReportExample.context, program: { _ in hostile }).text
        XCTAssertFalse(text.contains("<script>alert"))
        XCTAssertEqual(text.ranges(of: "</script>").count, 2)
        XCTAssertTrue(
            text.contains("<td>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\u{fffd}</td>"))
        XCTAssertTrue(
            text.contains(#""\u003c/script\u003e\u003cscript\u003ealert(1)\u003c/script\u003e\"'\u0026\u0001""#))
        XCTAssertFalse(text.unicodeScalars.contains { $0.value == 1 })
    }

    /// The longest run that there can be, with a million exits and more in every interval: what is embedded is bounded by
    /// intervals, kinds and places, and not by exits.
    func testThePageOfALongRunIsBounded() throws {
        try TestBed.skipWhereEmulated()
        let kinds = Array(ExitKind.allCases)
        let count = TimelineRecorder.intervalCount
        let many = [UInt64](repeating: 4_000_000_000, count: count)
        func outcome(vcpus: Int) -> RunOutcome {
            var outcome = RunOutcome.example(
                Array(repeating: kinds.map { .init($0, [1000, 2000]) }, count: vcpus), runCycles: 1 << 50)
            let series = kinds.map { ExitTimeline.Series(kind: $0, exits: many) }
            outcome.timeline = ExitTimeline(
                intervalCycles: 1 << 30, intervalCount: count, series: series,
                vcpus: Array(repeating: .init(series: series), count: vcpus))
            outcome.places = ExitPlaces(
                places: (0..<vcpus).flatMap { vcpu in
                    (0..<ExitPlaces.defaultCapacity / vcpus).map { number in
                        place(vcpu, .minivmm(.portIn), UInt64(number), .port(UInt16(number)), 1_000_000)
                    }
                })
            return outcome
        }
        for (vcpus, limit) in [(1, 1 << 20), (16, 4 << 20)] {
            let text = page(outcome(vcpus: vcpus))
            let data = try data(text)
            let series = try XCTUnwrap(data["series"]?.elements)
            XCTAssertEqual(series.count, kinds.count)
            let lists = kinds.count * (vcpus > 1 ? vcpus + 1 : 1)
            let intervals = try XCTUnwrap(series.first?["exits"]?.elements.count)
            XCTAssertEqual(intervals, try XCTUnwrap(data["times"]?.elements.count) - 1)
            XCTAssertLessThanOrEqual(intervals * lists, PageData.maximumSeriesNumbers)
            XCTAssertLessThanOrEqual(intervals, PageData.maximumIntervalCount)
            XCTAssertLessThanOrEqual(
                try XCTUnwrap(data["stacks"]?.elements.count), PlacesSection.limit(vcpus: vcpus) + 1)
            // What is left out is told in a row and in a stack, so that the sums are those of the run.
            let stacks = try XCTUnwrap(data["stacks"]).elements
            let sum = stacks.flatMap { $0["exits"]?.elements ?? [] }.compactMap(\.integer).reduce(0, +)
            XCTAssertEqual(sum, Int64(ExitPlaces.defaultCapacity / vcpus * vcpus) * 1_000_000)
            XCTAssertTrue(text.contains("more</td>"))
            XCTAssertLessThan(text.utf8.count, limit, "\(vcpus) vCPUs")
        }
    }

    func testWithMoreVCPUsThereAreFewerIntervalsButSome() {
        func intervals(_ vcpus: Int, _ kinds: Int) -> Int {
            let series = (0..<kinds).map { _ in
                ExitTimeline.Series(kind: .hlt, exits: [UInt64](repeating: 1, count: 512))
            }
            return PageData.timeline(
                ExitTimeline(
                    intervalCycles: 1 << 14, intervalCount: 512, series: series,
                    vcpus: Array(repeating: .init(series: series), count: vcpus))
            ).intervalCount
        }
        XCTAssertEqual(intervals(1, 10), 256)
        XCTAssertEqual(intervals(24, 10), 256)
        XCTAssertEqual(intervals(64, 10), 86)
        XCTAssertEqual(intervals(256, 20), 16)
    }
}
