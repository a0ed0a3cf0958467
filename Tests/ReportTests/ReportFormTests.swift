@testable import Counters
@testable import Host
@testable import KVM
@testable import Report
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// The forms of a report, to the letter or by their structure.
final class ReportFormTests: XCTestCase {
    func testCSV() {
        XCTAssertEqual(
            CSVReport(ReportExample.outcome).text,
            """
            vcpu,kind,sdm,exits,service_cycles,mean_cycles,p50_cycles,p99_cycles,max_cycles,settled_by
            all,io_out,30,3,600,200.0,200,300,300,minivmm
            all,hlt,12,1,50,50.0,50,50,50,minivmm
            0,io_out,30,2,400,200.0,100,300,300,minivmm
            0,hlt,12,1,50,50.0,50,50,50,minivmm
            1,io_out,30,1,200,200.0,200,200,200,minivmm

            """)
    }

    func testOwnStepsAreInEveryForm() throws {
        let outcome = RunOutcome.example([[.init(.hlt, [50])], []], internalCycles: [600, 401])
        XCTAssertEqual(
            CSVReport(outcome).text.split(separator: "\n").dropFirst(),
            [
                "all,hlt,12,1,50,50.0,50,50,50,minivmm", "all,own_steps,,4,2002,500.5,,,,minivmm",
                "0,hlt,12,1,50,50.0,50,50,50,minivmm", "0,own_steps,,2,1001,500.5,,,,minivmm",
                "1,own_steps,,2,1001,500.5,,,,minivmm",
            ])
        let html = HTMLReport(outcome, leaves: .f22, context: ReportExample.context).text
        XCTAssertTrue(
            html.contains("<tr><td>(own steps)</td><td></td><td>4</td><td></td><td>2.00k</td><td>501</td>"), html)
    }

    func testColorsAreTheSameInAllReports() {
        let one = ColorPalette(["io_out", "hlt", "hypercall"])
        let other = ColorPalette(["hypercall", "exception", "hlt", "cpuid", "io_out", "rdmsr", "wrmsr", "nmi", "debug"])
        for name in ["io_out", "hlt"] { XCTAssertEqual(one.colorClass(of: name), other.colorClass(of: name)) }
        XCTAssertEqual(one.colorClass(of: "io_out"), "k0")
        XCTAssertEqual(Set(other.names.map(other.colorClass)).count, 7, "no two share one")
        XCTAssertFalse(other.names.map(other.colorClass).contains("k7"))
        XCTAssertEqual(other.colorClass(of: "debug"), "k7")
    }

    func testJSON() throws {
        let record = try JSONValue(
            RunRecord(ReportExample.outcome, leaves: .f22, context: ReportExample.context).json())
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        XCTAssertEqual(
            record["context"],
            try JSONValue(
                """
                {
                  "command": ["minivmm", "run", "it's.bin", "--report", "a.html"],
                  "started_at": "2026-10-26T07:33:20Z", "guest": "<it's>.bin", "memory_bytes": 16777216,
                  "vcpu_count": 2, "processor": "Example & Sons CPU", "kernel": "6.1.0",
                  "modules": ["kvm", "kvm_amd"], "tsc_invariant": true, "host": null
                }
                """))
        XCTAssertEqual(
            record["time_series"],
            try JSONValue(
                """
                {
                  "interval_cycles": 16384, "intervals": 2,
                  "kinds": [{"kind": "io_out", "exits": [2, 1]}, {"kind": "hlt", "exits": [0, 1]}]
                }
                """))
        XCTAssertEqual(
            record["distributions"],
            try JSONValue(
                """
                [
                  {
                    "kind": "io_out",
                    "classes": [{"from": 91, "below": 108, "exits": 1}, {"from": 182, "below": 216, "exits": 2}]
                  },
                  {"kind": "hlt", "classes": [{"from": 46, "below": 54, "exits": 1}]}
                ]
                """))
    }

    func testHostAndScheduling() throws {
        var outcome = ReportExample.outcome
        outcome.scheduling = RunScheduling(
            vcpus: [
                ThreadScheduling(runNanoseconds: 20_100_000, delayNanoseconds: 300_000, timeSlices: 7), nil,
            ], stolenNanoseconds: 10_000_000)
        var context = ReportExample.context
        var host = HostConditions()
        host.microcode = "0x2b"
        host.parameters = [.init(name: "kvm.halt_poll_ns", value: "200000")]
        host.mitigations = [.init(name: "retbleed", value: "<Mitigation>")]
        host.hypervisor = "KVM"
        host.boost = true
        context.conditions = host
        let record = try JSONValue(RunRecord(outcome, leaves: .f22, context: context).json())
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        XCTAssertEqual(
            record["scheduling"],
            try JSONValue(
                """
                {"vcpus": [{"vcpu": 0, "run_ns": 20100000, "run_delay_ns": 300000, "time_slices": 7}],
                "stolen_ns": 10000000}
                """))
        XCTAssertEqual(record["context"]?["host"]?["parameters"]?["kvm.halt_poll_ns"]?.string, "200000")
        let html = HTMLReport(outcome, leaves: .f22, context: context).text
        for part in [
            "<dt>vCPU 0 ran</dt><dd>20.1 ms, and waited 300 us for a processor</dd>", "<dt>Stolen</dt><dd>10.0 ms</dd>",
            "<dt>Guest of</dt><dd>KVM</dd>", "<dt>Microcode</dt><dd>0x2b</dd>", "<dt>Boost</dt><dd>allowed</dd>",
            "<span>retbleed</span>: &lt;Mitigation&gt;", "<span>kvm.halt_poll_ns</span>: 200000",
        ] {
            XCTAssertTrue(html.contains(part), part)
        }
    }

    func testHTMLNeedsNothingElseAndEscapesWhatItIsGiven() throws {
        let html = HTMLReport(ReportExample.outcome, leaves: .f22, context: ReportExample.context).text
        for part in ["http", "src=", "@import", "url(", "<it's>"] { XCTAssertFalse(html.contains(part), part) }
        for part in [
            "<h1>&lt;it&#39;s&gt;.bin</h1>", "Example &amp; Sons CPU", "2 vCPUs, 16 MiB of memory",
            "<span>minivmm</span> <span>run</span> <span>&#39;it&#39;\\&#39;&#39;s.bin&#39;</span> <span>--report</span> ",
            "from 0: io_out 2", "<h3>vCPU 1</h3>",
            "prefers-color-scheme: dark", "@media print",
        ] {
            XCTAssertTrue(html.contains(part), part)
        }
    }

    func testKernelCounts() throws {
        func count(_ name: String, _ value: UInt64) -> KernelStatistic {
            KernelStatistic(name: name, kind: .cumulative, unit: .none, exponent: 0, base: .ten, values: [value])
        }
        let histogram = KernelStatistic(
            name: "halt_poll_hist", kind: .logarithmicHistogram, unit: .none, exponent: 0, base: .ten, values: [1, 2])
        var outcome = ReportExample.outcome
        outcome.kernelStatistics = [
            KernelStatistics(identifier: "a", statistics: [count("exits", 5), count("io_exits", 0), histogram]),
            KernelStatistics(
                identifier: "b", statistics: [count("exits", 3), count("halt_exits", 1), count("l1d", 4)]),
        ]
        XCTAssertEqual(
            TextReport(outcome).kernelBlock(outcome.statistics.total),
            [
                "", "KVM's own counts:", "  exits  8    halt_exits  1", "  l1d    4",
                "Of KVM's 8 exits 4 came out to MiniVMM; KVM settled 4 itself (50.0%).",
            ])
        XCTAssertEqual(
            KernelCounts(Array(outcome.kernelStatistics.prefix(1))).relation(to: outcome.statistics.vcpus[0]),
            "Of KVM's 5 exits 3 came out to MiniVMM; KVM settled 2 itself (40.0%).")
        let fewer = KernelCounts([KernelStatistics(identifier: "a", statistics: [count("exits", 2)])])
        XCTAssertEqual(
            fewer.relation(to: outcome.statistics.total),
            "KVM counts 2 exits and MiniVMM 4: some left KVM_RUN without entering the guest.")
        let record = try JSONValue(RunRecord(outcome, leaves: .f22).json())
        XCTAssertEqual(
            record["kernel_statistics"],
            try JSONValue(
                """
                [
                  {"vcpu": 0, "counts": {"exits": 5}},
                  {"vcpu": 1, "counts": {"exits": 3, "halt_exits": 1, "l1d": 4}}
                ]
                """))
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        let html = HTMLReport(outcome, leaves: .f22, context: ReportExample.context).text
        XCTAssertTrue(html.contains("<div><span>halt_exits</span><b>1</b><small>HLT "))
    }

    func testHTMLOfARunWithoutExits() {
        var outcome = RunOutcome.example([[]])
        outcome.timeline = ExitTimeline(intervalCycles: 16_384, intervalCount: 0, series: [])
        let html = HTMLReport(outcome, leaves: .f22, context: ReportExample.context).text
        XCTAssertTrue(html.contains("0 exits in 250 ms"))
        XCTAssertFalse(html.contains("nan"))
    }

    func testEveryTagIsClosed() throws {
        let html = HTMLReport(ReportExample.outcome, leaves: .f22, context: ReportExample.context).text
        var open: [Substring] = []
        for match in html.matches(of: #/<(/?)([a-z0-9]+)[^>]*?(/?)>/#) where match.3.isEmpty {
            if ["meta", "link", "br"].contains(match.2) { continue }
            if match.1.isEmpty { open.append(match.2) } else { XCTAssertEqual(open.popLast(), match.2) }
        }
        XCTAssertEqual(open, [])
    }

    func testTicksAreRound() {
        for (end, ticks) in [
            (21.3, [0, 10, 20]), (4, [0, 1, 2, 3, 4]), (0.007, [0, 0.002, 0.004, 0.006]), (0, [0]), (99, [0, 50]),
        ] {
            let found = AxisScale.ticks(upTo: end)
            XCTAssertEqual(found.count, ticks.count, "\(end): \(found)")
            for (one, other) in zip(found, ticks) { XCTAssertEqual(one, other, accuracy: end * 1e-9) }
        }
    }

    func testAxes() {
        for (value, end) in [(0.0, 1.0), (1, 1), (1.5, 1.6), (3, 4), (70_000, 80_000), (99, 100), (0.03, 0.04)] {
            XCTAssertEqual(AxisScale.roundedUp(value), end, accuracy: end * 1e-9)
        }
        for (text, label) in [("1.00k", "1k"), ("2.50M", "2.5M"), ("100k", "100k"), ("0.50", "0.5"), ("10.0", "10")] {
            XCTAssertEqual(AxisScale.label(text), label)
        }
    }
}
