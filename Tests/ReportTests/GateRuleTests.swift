@testable import Counters
@testable import Host
@testable import Report
@testable import TestSupport
import XCTest

/// Rules that a comparison keeps or breaks, and several runs a side.
final class GateRuleTests: XCTestCase {
    private func recorded(_ exits: [RunOutcome.ExampleExits], runCycles: UInt64 = 0) throws -> RecordedStatistics {
        let outcome = RunOutcome.example([exits], runCycles: runCycles)
        return try RecordedStatistics(json: RunRecord(outcome, leaves: .f22, context: ReportExample.context).json())
    }

    private func comparison(
        _ first: [RecordedStatistics], _ second: [RecordedStatistics], _ rules: [String] = []
    ) throws -> Comparison {
        Comparison(
            try XCTUnwrap(RunGroup(first)), try XCTUnwrap(RunGroup(second)),
            names: (first.indices.map { "a\($0)" }, second.indices.map { "b\($0)" }),
            rules: try rules.map(GateRule.init))
    }

    /// Ten OUTs, two CPUIDs and three interrupts against eleven, two and nine.
    private func sides() throws -> (RecordedStatistics, RecordedStatistics) {
        func exits(_ out: Int, _ interrupts: Int, cycles: UInt64) -> [RunOutcome.ExampleExits] {
            [
                .init(.portOut, Array(repeating: cycles, count: out)), .init(.cpuid, [500, 500]),
                .init(.interrupted, Array(repeating: 7, count: interrupts)),
            ]
        }
        return (
            try recorded(exits(10, 3, cycles: 100), runCycles: 1000),
            try recorded(exits(11, 9, cycles: 110), runCycles: 1101)
        )
    }

    func testRules() throws {
        let (first, second) = try sides()
        for (rule, isBroken) in [
            ("exits>+0", true), ("exits>+1", false), ("exits>+8.3%", true), ("exits>+8.4%", false), ("exits>13", false),
            ("exits>=13", true), ("count != +1", false), ("count!=+0", true), ("total.exits>+6", true),
            ("total.exits>+7", false), ("cpuid.count>+0", false), ("cpuid.cycles!=+0", false),
            ("io_out.exits>+9%", true),
            ("io_out.cycles>1209", true), ("io_out.mean>+10%", false), ("io_out.mean>=+10%", true),
            ("io_out.exits<11", false), ("io_out.exits<=11", true), ("intr.count > +5", true), ("hlt.count>+0", false),
            ("total.run_cycles>+10%", true), ("run_cycles>+10.1%", false), ("total.run_cycles<-1%", false),
            ("total.duration_ns>+0", false), ("own_steps>0", false),
        ] {
            let verdict = try GateRule(rule).judge(XCTUnwrap(RunGroup([first])), XCTUnwrap(RunGroup([second])))
            XCTAssertEqual(verdict.isBroken, isBroken, verdict.sentence)
        }
    }

    /// A number that was not recorded keeps no rule.
    func testWhatCannotBeJudgedIsBroken() throws {
        let (first, second) = try sides()
        for rule in ["total.kernel_cycles>+10%", "kvm CPUID.count>+0", "io_out[port 0x80].count>+0", "kvm_exits>+0"] {
            let broken = try comparison([first], [second], [rule]).brokenRules
            XCTAssertEqual(broken, ["\(rule): cannot be judged, because not all runs have this number."])
        }
    }

    func testSentences() throws {
        let (first, second) = try sides()
        XCTAssertEqual(
            try comparison([first], [second], ["exits>+0", "cpuid.count>+0", "io_out.mean>+1%"]).verdicts.map(
                \.sentence),
            [
                "exits>+0: broken, A 12, B 13 (+8.3%).", "cpuid.count>+0: kept, A 2, B 2 (=).",
                "io_out.mean>+1%: broken, A 100, B 110 (+10.0%).",
            ])
    }

    func testWhatIsNoRule() {
        for (text, error): (String, GateRuleError) in [
            ("", .notARule("")), ("exits", .notARule("exits")), ("exits>", .notALimit("exits>")),
            ("exits>x", .notALimit("exits>x")), ("exits>2%", .notALimit("exits>2%")),
            ("exits>+1.2.3", .notALimit("exits>+1.2.3")), ("exits>+nan", .notALimit("exits>+nan")),
            ("exits>0x10", .notALimit("exits>0x10")), ("exits>++1", .notALimit("exits>++1")),
            ("bogus.count>+0", .unknownKind("bogus.count>+0", "bogus")),
            ("kvm bogus.count>+0", .unknownKind("kvm bogus.count>+0", "kvm bogus")),
            ("io_out.run_cycles>+0", .notOfKinds("io_out.run_cycles>+0", "run_cycles")),
            ("io_out[port.count>+0", .notARule("io_out[port.count>+0")),
            ("io_out[port].mean>+0", .notARule("io_out[port].mean>+0")),
        ] {
            XCTAssertThrowsError(try GateRule(text), text) { XCTAssertEqual($0 as? GateRuleError, error) }
        }
        XCTAssertThrowsError(try GateRule("cpuid.speed>+0")) { error in
            guard case .unknownQuantity(_, "speed", _)? = error as? GateRuleError else { return XCTFail("\(error)") }
        }
    }

    func testAFileOfRules() throws {
        let file = "# exact\n\n  exits>+0 \r\nkvm  EPT violation.count>+10%\n"
        XCTAssertEqual(
            try GateRule.all(in: Array(file.utf8)).map(\.text), ["exits>+0", "kvm EPT violation.count>+10%"])
        XCTAssertThrowsError(try GateRule.all(in: Array("exits>+0\nfoo\n".utf8)))
    }

    /// Bytes of any kind are a rule or none, and end.
    func testDamagedRules() throws {
        let none = try XCTUnwrap(RunGroup([recorded([])]))
        let whole = Array("io_out[port 0x3f8].count>+12.5%".utf8)
        for seed: UInt64 in 0..<TestExtent.of(200, exhaustive: 20_000) {
            var generator = SeededGenerator(seed: seed)
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            for rule in (try? GateRule.all(in: bytes)) ?? [] {
                _ = rule.judge(none, none)
            }
        }
    }

    func testSpread() {
        let odd = Spread([3, 1, 2]), even = Spread([4, 1, 3, 2])
        XCTAssertEqual([odd.median, odd.least, odd.most], [2, 1, 3])
        XCTAssertEqual(even.median, 2.5)
        XCTAssertEqual(odd.relative, 1)
        XCTAssertEqual(Spread([]).median, 0)
        XCTAssertTrue(Spread([5, 5]).isConstant)
    }

    func testSeveralRunsASide() throws {
        let first = try [(100, 1), (110, 1), (300, 1)].map { cycles, hlts in
            try recorded(
                [.init(.portOut, [UInt64(cycles), UInt64(cycles)]), .init(.hlt, Array(repeating: 10, count: hlts))],
                runCycles: 1000)
        }
        let second = try [1, 2].map { hlts in
            try recorded(
                [.init(.portOut, [50, 50]), .init(.hlt, Array(repeating: 10, count: hlts))], runCycles: 2000)
        }
        XCTAssertEqual(
            ComparisonReport(try comparison(first, second)).text,
            """
            A: 3 files, guest <it's>.bin, 3 runs, 250 ms (250 ms to 250 ms)
            B: 2 files, guest <it's>.bin, 2 runs, 250 ms (250 ms to 250 ms)

            exit       exits A     B  change  cycles A      B   change  spread
            io_out           2     2       =       220    100   -54.5%  181.8%
            hlt              1  1.50  +50.0%        10     15   +50.0%   66.7%
            total            3  3.50  +16.7%       230    115   -50.0%  173.9%
            (KVM_RUN)                            1.00k  2.00k  +100.0%       =

            Counts that are the guest's doing, and differ from run to run: hlt (B: 1 to 2).

            """)
    }

    func testWhatIsNotAlikeIsSaidFirst() throws {
        let outcome = RunOutcome.example([[.init(.hlt, [1])]])
        func recorded(_ leaves: CounterLeaves, kernel: String) throws -> RecordedStatistics {
            var context = ReportExample.context
            context.host.kernelRelease = kernel
            return try RecordedStatistics(json: RunRecord(outcome, leaves: leaves, context: context).json())
        }
        let comparison = try comparison(
            [recorded(.f22, kernel: "6.1")], [recorded(.s21, kernel: "6.1"), recorded(.s21, kernel: "6.18")])
        XCTAssertTrue(
            ComparisonReport(comparison).text.hasPrefix(
                """
                Not made alike, so that numbers may differ for that reason alone:
                  leaves  A: f22  B: s21
                  kernel  A: 6.1  B: 6.1, 6.18

                A: a0, guest
                """), ComparisonReport(comparison).text)
        let record = try JSONValue(ComparisonRecord(comparison).json())
        XCTAssertEqual(try JSONSchema(file: "compare.schema.json").problems(of: record), [])
        XCTAssertEqual(record["differences"]?.elements.map { $0["what"]?.string }, ["leaves", "kernel"])
    }

    func testHostsThatDiffer() throws {
        func recorded(_ change: (inout HostConditions) -> Void) throws -> RecordedStatistics {
            var context = ReportExample.context
            var host = HostConditions()
            host.parameters = [.init(name: "kvm_intel.ept", value: "Y")]
            host.mitigations = [.init(name: "mds", value: "Not affected")]
            change(&host)
            context.conditions = host
            let outcome = RunOutcome.example([[.init(.hlt, [1])]])
            return try RecordedStatistics(json: RunRecord(outcome, leaves: .f22, context: context).json())
        }
        let plain = try recorded { _ in }
        let other = try recorded { host in
            host.parameters = [.init(name: "kvm_intel.ept", value: "N")]
            host.mitigations = [.init(name: "mds", value: "Vulnerable")]
            host.hypervisor = "KVM"
            host.boost = true
            host.pinnedCPUs = "2-3"
        }
        // What one side does not know is no difference.
        XCTAssertEqual(
            try comparison([plain], [other]).differences.map(\.name),
            ["guest of", "pinned to", "kvm_intel.ept", "mitigation of mds"])
        XCTAssertEqual(try comparison([plain], [plain]).differences, [])
    }

    func testMarkdown() throws {
        let (first, second) = try sides()
        let text = ComparisonReport.markdown(try comparison([first], [second], ["exits>+0", "cpuid.count>+0"]))
        for part in [
            "- A: a0, guest", "| exit | exits A | B | change |", "\n| --- | ---: | ---: |",
            "\n| io_out | 10 | 11 | +10.0% | 1.00k | 1.21k | +21.0% |",
            "\n- **broken**: `exits>+0: broken, A 12, B 13 (+8.3%).`\n- kept: `cpuid.count>+0",
        ] {
            XCTAssertTrue(text.contains(part), "\(part)\n\(text)")
        }
    }

    /// The members that github-action-benchmark asks for, and no interrupts.
    func testGitHubBenchmark() throws {
        let (first, second) = try sides()
        let record = try JSONValue(GitHubBenchmark(comparison([first], [second])).json())
        XCTAssertEqual(
            record.elements.map { $0["name"]?.string },
            ["<it's>.bin: io_out", "<it's>.bin: cpuid", "<it's>.bin: service time", "<it's>.bin: KVM_RUN"])
        XCTAssertEqual(record[0]?["value"]?.integer, 11)
        XCTAssertEqual(record[0]?["unit"]?.string, "exits")
        XCTAssertEqual(record[0]?["range"]?.string, "± 0.0%")
    }

    func testDetails() throws {
        func run(_ count: UInt64) throws -> RecordedStatistics {
            let text = """
                {"schema":1,"kinds":[{"kind":"io_out","sdm":30,"exits":\(count),"service_cycles":3,"p50":1,"p99":1,"max":1}],
                "total":{"exits":\(count),"service_cycles":3,"run_cycles":1,"internal_exits":0,"internal_cycles":0},
                "vcpus":[],"outcome":{"kind":"halted","summary":"","exit_status":0},"leaves":"f22","cpuid_trap":"none",
                "exits_scope":"user","duration_ns":1,"places":{"places":[{"vcpu":0,"name":"io_out","subject":"port 0x3f8",
                "subject_name":"COM1","exits":\(count),"cycles":3}]}}
                """
            return try RecordedStatistics(json: Array(text.utf8))
        }
        for rule in ["io_out[port 0x3f8].count>+0", "io_out[port 0x3f8 (COM1)].exits>3"] {
            XCTAssertEqual(try comparison([run(3)], [run(3)], [rule]).brokenRules, [])
            XCTAssertEqual(try comparison([run(3)], [run(4)], [rule]).brokenRules.count, 1)
        }
        let record = try JSONValue(ComparisonRecord(comparison([run(3)], [run(4)])).json())
        XCTAssertEqual(try JSONSchema(file: "compare.schema.json").problems(of: record), [])
        XCTAssertEqual(record["details"]?[0]?["exits"]?["b"]?["median"]?.integer, 4)
    }
}
