@testable import Counters
@testable import KVM
@testable import Report
@testable import TestSupport
import XCTest

/// What the HTML report, the live line and the trace show where every exit was counted.
final class AllExitsPageTests: XCTestCase {
    private static let settled = KernelSettledExits.example([
        .init(code: 0x60, reason: 1, settled: Array(repeating: 700, count: 90)),
        .init(code: 0x72, reason: 10, settled: [400, 500], carried: 1),
        .init(code: 0x78, reason: 12, settled: [50], halted: 3_000_000),
        .init(code: 0x7a, settled: [25]),
        .init(code: 0x7b, reason: 30, settled: [2000], passedOn: 2),
    ])

    private var outcome: RunOutcome {
        var outcome = RunOutcome.example(
            [[.init(.portOut, [2000, 4000]), .init(.portIn, [6000])]], runCycles: 80_000, trap: .fault)
        outcome.scope = .all
        outcome.kernelSettled = Self.settled
        outcome.distributions = [.init(kind: .portOut, classes: [.init(number: 43, exits: 2)])]
        outcome.timeline = ExitTimeline(
            intervalCycles: 16_384, intervalCount: 2,
            series: [.init(kind: .portOut, exits: [2, 0]), .init(kind: .portIn, exits: [0, 1])],
            kernelSeries: [
                .init(type: .externalInterrupt, exits: [50, 40]), .init(type: .cpuid, exits: [1, 0]),
                .init(type: .hlt, exits: [0, 1]), .init(type: .ioInstruction, exits: [1, 0]),
                .init(type: nil, exits: [0, 1]),
            ])
        return outcome
    }

    private func page(_ outcome: RunOutcome) -> String {
        HTMLReport(outcome, leaves: .f22, context: ReportExample.context).text
    }

    func testTilesAndTable() {
        let html = page(outcome)
        for part in [
            "<b>97</b>exits", "<b>96.9%</b>settled by KVM", "<b>66.0 us</b>in KVM&#39;s handlers",
            "<b>3.00 ms</b>asleep", "<h2>Every exit</h2>", "<h2>Share by type</h2>",
            "<h2>MiniVMM&#39;s service time by kind</h2>",
            "<tr><th>exit</th><th>SDM</th><th>by</th><th>count</th><th>share</th><th>in KVM</th><th>in VMM</th>",
            "<i class=\"k3\"></i>ext. interrupt</span></td><td>1</td><td>KVM</td><td>90</td>",
            "<i class=\"k0 vmm\"></i>io_in</span></td><td>30</td><td>VMM</td><td>1</td>",
            "<tr><td>(asleep)</td>",
        ] {
            XCTAssertTrue(html.contains(part), part)
        }
    }

    func testAShareHasAPartOfKVMAndOneOfMiniVMM() throws {
        let html = page(outcome)
        // I/O: one settled by KVM and three by MiniVMM of 97 exits; 2 us and 6 us of 71.975 us.
        let row = try XCTUnwrap(
            html.split(separator: "\n").first {
                $0.hasPrefix("<div data-group=\"1\"><span class=\"kind\"><i class=\"k0\"></i>I/O")
            })
        for part in [
            "<b class=\"k0\" style=\"width:1.031%\" title=\"KVM: 1.0%\"></b>"
                + "<b class=\"k0 vmm\" style=\"width:3.093%\" title=\"MiniVMM: 3.1%\"></b>",
            "<span class=\"value\">4.1%</span>",
            "<b class=\"k0\" style=\"width:2.779%\"", "<b class=\"k0 vmm\" style=\"width:8.336%\"",
        ] {
            XCTAssertTrue(row.contains(part), "\(part) in \(row)")
        }
        XCTAssertTrue(html.contains("<i class=\"ki\"></i>settled by KVM</span>"))
        XCTAssertTrue(html.contains("<i class=\"ki vmm\"></i>came out to MiniVMM</span>"))
    }

    func testExitsOverTimeHaveKVMsBelowMiniVMMs() {
        let html = page(outcome)
        XCTAssertTrue(
            html.contains("from 0: KVM: ext. interrupt 50, CPUID 1, I/O 1; MiniVMM: io_out 2</title>"), html)
        // 54 exits in 8.192 us are 6.59 millions a second, of 8 at the top of the scale; 52 of them are KVM's.
        XCTAssertTrue(html.contains("<path class=\"edge\" d=\"M0 206.543V206.543H1V359.131H2\"/>"), html)
        XCTAssertTrue(
            html.contains("<path class=\"k0 vmm\" d=\"M0 1000V176.025H1V343.872H2V359.131H1V206.543H0Z\"/>"), html)
    }

    func testTheScriptHasBothSidesOfEachType() throws {
        let html = page(outcome)
        let start = try XCTUnwrap(html.range(of: "<script type=\"application/json\" id=\"data\">"))
        let end = try XCTUnwrap(html[start.upperBound...].range(of: "</script>"))
        let data = try JSONValue(String(html[start.upperBound..<end.lowerBound]))
        // SVM 0x7a has no number of the SDM's: over time it is among the others.
        XCTAssertEqual(data["groups"], try JSONValue(#"["ext. interrupt", "I/O", "CPUID", "HLT", "other"]"#))
        XCTAssertEqual(
            data["rows"]?.elements.map { [$0["group"]?.integer, $0["exits"]?[0]?.integer, $0["time"]?[0]?.integer] },
            [[0, 90, 63_000], [1, 1, 2000], [1, 3, 6000], [2, 1, 900], [3, 1, 50], [4, 1, 25]])
        XCTAssertEqual(
            data["series"]?.elements.map { [$0["name"]?.string, $0["color"]?.string] },
            [
                ["I/O", "k0"], ["CPUID", "k1"], ["ext. interrupt", "k3"], ["HLT", "k4"], ["other", "k7"],
                ["io_out", "k0 vmm"], ["io_in", "k0 vmm"],
            ])
        XCTAssertEqual(data["series"]?.elements.map { $0["group"]?.integer }, [1, 2, 0, 3, 4, 1, 1])
    }

    func testJSONHasTheSeries() throws {
        let record = try JSONValue(RunRecord(outcome, leaves: .f22, context: ReportExample.context).json())
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        let series = record["time_series"]?["kernel_settled"]?.elements
        XCTAssertEqual(series?.count, 5)
        XCTAssertEqual(
            series?.first, try JSONValue(#"{"name": "ext. interrupt", "sdm": 1, "exits": [50, 40]}"#))
        XCTAssertEqual(series?.last, try JSONValue(#"{"name": "other", "sdm": null, "exits": [0, 1]}"#))
    }

    func testEveryTagIsClosed() throws {
        var open: [Substring] = []
        for match in page(outcome).matches(of: #/<(/?)([a-z0-9]+)[^>]*?(/?)>/#) where match.3.isEmpty {
            if ["meta", "link", "br"].contains(match.2) { continue }
            if match.1.isEmpty { open.append(match.2) } else { XCTAssertEqual(open.popLast(), match.2) }
        }
        XCTAssertEqual(open, [])
    }

    func testARunWhoseExitsAllStayedInKVM() {
        var outcome = RunOutcome.example([[]])
        outcome.kernelSettled = Self.settled
        let html = page(outcome)
        XCTAssertTrue(html.contains("<b>100%</b>settled by KVM"))
        XCTAssertFalse(html.contains("nan"))
    }

    // MARK: KVM's names

    func testKVMsNamesAreExplained() {
        var outcome = outcome
        outcome.kernelStatistics = [
            KernelStatistics(
                identifier: "a",
                statistics: ["halt_exits", "no_such_name"].map {
                    KernelStatistic(name: $0, kind: .cumulative, unit: .none, exponent: 0, base: .ten, values: [5])
                })
        ]
        let html = page(outcome)
        XCTAssertTrue(
            html.contains("<div><span>halt_exits</span><b>5</b><small>HLT instructions of the guest.</small></div>"))
        XCTAssertTrue(html.contains("<div><span>no_such_name</span><b>5</b></div>"))
    }

    // MARK: While it runs

    private func snapshot(_ own: [(ExitKind, Int)], _ settled: KernelSettledExits) -> CounterSnapshot {
        let table = ExitCounterTable.inMemory(vcpuCount: 1)
        let counters = table.counters(of: 0)
        for (kind, count) in own {
            for _ in 0..<count {
                counters.begin(kind)
                _ = counters.finish(kind, serviceCycles: 2000)
            }
        }
        return CounterSnapshot(table, kernelSettled: settled)
    }

    func testLiveLineAddsBoth() {
        let before = snapshot([(.portOut, 2)], .example([.init(code: 0x7b, reason: 30, settled: [1, 1], passedOn: 2)]))
        let now = snapshot([(.portOut, 3), (.portIn, 1)], Self.settled)
        // I/O: 2 + 2 before, 3 + 1 + 1 now.
        XCTAssertEqual(
            LiveLine(now, previous: before, elapsed: .seconds(2), interval: .milliseconds(500)).text,
            "2.0 s  98 exits  ext. interrupt 180/s  I/O 2/s  CPUID 2/s")
        // An exit in progress counted as KVM's before it came out.
        XCTAssertEqual(
            LiveLine(
                snapshot([], .example([.init(code: 0x7b, reason: 30, settled: [1])])), previous: before,
                elapsed: .seconds(2), interval: .seconds(1)
            ).text, "2.0 s  1 exits")
    }

    func testLiveReportHasBoth() {
        XCTAssertEqual(
            LiveReport(snapshot([(.portOut, 3)], Self.settled), tscKHz: 2_000_000).text,
            """
            exit            SDM  by   count  share    mean     max    time
            ext. interrupt    1  KVM     90  91.3%   700ns   700ns  63.0us
            io_out           30  VMM      3   4.3%  1.00us  1.00us  3.00us
            I/O              30  KVM      1   2.9%  2.00us  2.00us  2.00us
            CPUID            10  KVM      1   1.3%   900ns   500ns   900ns
            HLT              12  KVM      1   0.1%    50ns    50ns    50ns
            SVM 0x7a          -  KVM      1   0.0%    25ns    25ns    25ns
            total                        97   100%   711ns          69.0us
            So far: 100% of the time in MiniVMM, 0.0% in KVM_RUN.

            """)
    }

    // MARK: The trace

    func testGoldenTrace() {
        var trace = ReportExample.trace
        trace.kernelTracks = [
            .init(
                vcpu: 1,
                events: [
                    .init(
                        start: 11_500, cycles: 2_000, nanoseconds: 900, nanosecondsHalted: 100, reason: .hlt,
                        code: 0x78, isSVM: true),
                    .init(
                        start: 20_000, cycles: 10, nanoseconds: 5, nanosecondsHalted: 0, reason: nil, code: 0x7a,
                        isSVM: true),
                ], lostCount: 3)
        ]
        var bytes: [UInt8] = []
        TraceReport(trace, tscKHz: 2_000_000).write { bytes += $0 }
        let text = String(decoding: bytes, as: UTF8.self)
        XCTAssertTrue(text.contains("\"lost_exits\":2,\"lost_kernel_exits\":3},"), text)
        XCTAssertTrue(
            text.hasSuffix(
                """
                {"name":"thread_sort_index","ph":"M","pid":1,"tid":1,"args":{"sort_index":2}},
                {"name":"thread_sort_index","ph":"M","pid":1,"tid":100001,"args":{"sort_index":3}},
                {"name":"thread_name","ph":"M","pid":1,"tid":100001,"args":{"name":"vCPU 1 in KVM"}},
                {"name":"HLT","cat":"kvm","ph":"X","pid":1,"tid":100001,"ts":1.000,"dur":1.000,\
                "args":{"handler_ns":900,"asleep_ns":100}},
                {"name":"SVM 0x7a","cat":"kvm","ph":"X","pid":1,"tid":100001,"ts":5.250,"dur":0.005,\
                "args":{"handler_ns":5,"asleep_ns":0}}
                ]}

                """), text)
        XCTAssertNoThrow(try JSONValue(bytes))
    }
}
