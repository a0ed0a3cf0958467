@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// Reports of a run that counted every exit, from fixed numbers.
final class AllExitsReportTests: XCTestCase {
    /// Two gigahertz: a nanosecond is two cycles.
    private func outcome() -> RunOutcome {
        var outcome = RunOutcome.example(
            [[.init(.portOut, [2000, 4000]), .init(.cpuid, [10_000])]], runCycles: 80_000, trap: .fault)
        outcome.scope = .all
        outcome.kernelSettled = .example(
            [
                .init(code: 0x00, reason: 28, settled: [100, 200]),
                .init(code: 0x10, reason: 28, settled: [300]),
                .init(code: 0x60, reason: 1, settled: Array(repeating: 700, count: 90)),
                .init(code: 0x72, reason: 10, settled: [400, 500], carried: 1),
                .init(code: 0x78, reason: 12, settled: [50], halted: 3_000_000),
                .init(code: 0x7a, settled: [25]),
                .init(code: 0x7b, reason: 30, settled: [1500], passedOn: 3),
            ], kernelCount: 101)
        return outcome
    }

    func testGoldenTable() {
        XCTAssertEqual(
            TextReport(outcome()).text,
            """
            An exit took 741ns: 661ns in KVM, 80ns in MiniVMM.

            exit            SDM  by   count  share  in KVM  in VMM     p50     p99     max
            ext. interrupt    1  KVM     90  85.0%  63.0us           700ns   700ns   700ns
            cpuid            10  VMM      1   6.7%          5.00us  5.00us  5.00us  5.00us
            io_out           30  VMM      2   4.0%          3.00us  1.00us  2.00us  2.00us
            I/O              30  KVM      1   2.0%  1.50us          1.50us  1.50us  1.50us
            CPUID            10  KVM      1   1.2%   900ns           500ns   500ns   500ns
            CR access        28  KVM      3   0.8%   600ns           255ns   300ns   300ns
            HLT              12  KVM      1   0.1%    50ns            50ns    50ns    50ns
            SVM 0x7a          -  KVM      1   0.0%    25ns            25ns    25ns    25ns
            total                       100   100%  66.1us  8.00us
            (asleep)                                3.00ms

            100 exits in 250 ms; the guest halted.
            Most frequent and most expensive: ext. interrupt (1), 90.0% of exits and 85.0% of time.
            KVM settled 97 of them itself (97.0%); 3 came out to MiniVMM (by VMM).
            Time: 16.7% in MiniVMM, 83.3% in KVM_RUN. CPUID trap: fault.
            Check: KVM's own count is 101 exits of the processor, and so is the tracepoints'.
            1 CPUIDs were two of these each: the fault, and the exit that the trap made of it.

            """)
    }

    func testTypesAddUp() throws {
        let breakdown = try XCTUnwrap(ExitBreakdown(outcome(), outcome().statistics.total))
        XCTAssertEqual(breakdown.exits, 100)
        XCTAssertEqual(breakdown.types.reduce(0) { $0 + $1.exits }, 100)
        XCTAssertEqual(breakdown.types.first { $0.type == .ioInstruction }?.exits, 3)
        XCTAssertEqual(breakdown.types.first { $0.type == .cpuid }?.exits, 2)
        XCTAssertEqual(breakdown.haltedNanoseconds, 3_000_000)
    }

    func testACountThatDiffersIsSaid() {
        var outcome = outcome()
        outcome.kernelSettled = .example([.init(code: 0x60, reason: 1, settled: [1])], kernelCount: 2)
        XCTAssertTrue(
            TextReport(outcome).text.contains(
                "Check: KVM's own count is 2 exits of the processor, the tracepoints' 1.\n"))
    }

    func testWhyNotEveryExitWasCounted() {
        var outcome = RunOutcome.example([[.init(.hlt, [1])]])
        outcome.narrowScopeReason = "There are no tracepoints."
        XCTAssertTrue(
            TextReport(outcome, advice: "See the manual.").text.hasSuffix(
                "Counted: the exits that reach MiniVMM. There are no tracepoints. See the manual.\n"))
    }

    func testCSV() {
        let lines = CSVReport(outcome()).text.split(separator: "\n")
        XCTAssertEqual(lines.count, 1 + 2 * 8)
        XCTAssertEqual(
            Array(lines[1...4]),
            [
                "all,io_out,30,2,6000,3000.0,2007,4000,4000,minivmm",
                "all,cpuid,10,1,10000,10000.0,10000,10000,10000,minivmm",
                "all,CR access,28,3,1200,400.0,510,600,600,kvm",
                "all,ext. interrupt,1,90,126000,1400.0,1400,1400,1400,kvm",
            ])
    }

    func testJSONIsAsTheSchemaSays() throws {
        let record = try JSONValue(RunRecord(outcome(), leaves: .f22).json())
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        XCTAssertEqual(record["exits_scope"]?.string, "all")
        let kernel = record["kernel_settled"]
        XCTAssertEqual(kernel?["exits"]?.integer, 97)
        XCTAssertEqual(kernel?["processor_exits"]?.integer, 101)
        XCTAssertEqual(kernel?["kvm_exits"]?.integer, 101)
        XCTAssertEqual(kernel?["halted_ns"]?.integer, 3_000_000)
        XCTAssertEqual(kernel?["reasons"]?.elements.count, 7)
        XCTAssertEqual(kernel?["reasons"]?.elements[3]["carried_exits"]?.integer, 1)
    }

    func testPlaces() throws {
        var outcome = outcome()
        func place(
            _ vcpu: Int, _ reason: BasicExitReason, _ address: UInt64?, _ subject: ExitPlaces.Subject?,
            _ exits: UInt64
        ) -> ExitPlaces.Place {
            var histogram = [UInt64](repeating: 0, count: 32)
            histogram[7] = exits
            return .init(
                vcpu: vcpu, exit: .kvm(code: 0, reason: reason), address: address, subject: subject, exits: exits,
                time: exits * 200, histogram: histogram)
        }
        outcome.kernelSettled = .example([.init(code: 0x72, reason: 10, settled: [1])])
        outcome.places = ExitPlaces(
            places: [
                place(0, .cpuid, 0x7c05, .cpuid(leaf: 0x4000_0000, subleaf: 7), 4),
                place(1, .cpuid, 0x7c05, .cpuid(leaf: 0x4000_0000, subleaf: 7), 6),
                place(0, .wrmsr, nil, .msr(0x6e0), 5), place(0, .hlt, 0xffff_8000_0000_0001, nil, 2),
            ], kernelLostExits: 3, cyclesPerNanosecond: 2)
        let text = TextReport(outcome, top: 2).text
        XCTAssertTrue(
            text.contains(
                """

                Where exits come from, by what they are about:
                count  share    time    p50    p99  exit       about
                   10  50.0%  2.00us  255ns  255ns  kvm CPUID  leaf 0x40000000 (hypervisor's vendor)
                    5  25.0%  1.00us  255ns  255ns  kvm WRMSR  MSR 0x6e0 (IA32_TSC_DEADLINE)
                and 1 more.

                Where exits come from, by the guest's code:
                count  share    time    p50    p99  exit       instruction
                   10  50.0%  2.00us  255ns  255ns  kvm CPUID  0x7c05
                    5  25.0%  1.00us  255ns  255ns  kvm WRMSR
                and 1 more.
                Rows with `kvm` are exits that KVM settled itself.
                3 exits came from places that found no room.

                """), text)
        XCTAssertFalse(TextReport(outcome).text.contains("Where"))
        let record = try JSONValue(RunRecord(outcome, leaves: .f22).json())
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        let places = record["places"]
        XCTAssertEqual(places?["kernel_lost_exits"]?.integer, 3)
        XCTAssertEqual(places?["places"]?.elements.map { $0["exits"]?.integer }, [6, 5, 4, 2])
    }

    func testComparison() throws {
        var other = RunOutcome.example([[.init(.portOut, [2000, 4000])]], runCycles: 90_000)
        other.scope = .all
        other.kernelSettled = .example(
            [
                .init(code: 0x10, reason: 28, settled: Array(repeating: 300, count: 50)),
                .init(code: 0x4e, reason: 0, settled: [900]),
            ], kernelCount: 53)
        let (first, second) = try (recorded(outcome()), recorded(other))
        XCTAssertEqual(
            ComparisonReport(try .ofTwo(first, second, names: ("a.json", "b.json"))).text,
            """
            Not made alike, so that numbers may differ for that reason alone:
              CPUID trap  A: fault  B: debug

            A: a.json, 250 ms
            B: b.json, 250 ms

            exit                exits A   B  change  cycles A      B  change
            kvm ext. interrupt       90   0    gone      126k      0    gone
            kvm CR access             3  50   x16.7     1.20k  30.0k     x25
            cpuid                     1   0    gone     10.0k      0    gone
            kvm I/O                   1   0    gone     3.00k      0    gone
            kvm CPUID                 1   0    gone     1.80k      0    gone
            kvm exception, NMI        0   1     new         0  1.80k     new
            kvm HLT                   1   0    gone       100      0    gone
            kvm SVM 0x7a              1   0    gone        50      0    gone
            io_out                    2   2       =     6.00k  6.00k       =
            total                   100  53  -47.0%      148k  37.8k  -74.5%
            (KVM's count)           101  53  -47.5%
            (KVM_RUN)                                   80.0k  90.0k  +12.5%

            Rows with `kvm` are exits that KVM settled itself.

            """)
        let narrow = try recorded(.example([[.init(.portOut, [2000])]]))
        let text = ComparisonReport(try .ofTwo(first, narrow, names: ("a", "b"))).text
        XCTAssertTrue(
            text.hasSuffix("\nA counted every exit, B those that reach MiniVMM: the latter are compared.\n"), text)
        XCTAssertFalse(text.contains("kvm "))
    }

    /// Places of KVM's exits are compared where both runs counted them, and only then.
    func testPlacesAreComparedWithinOneScope() throws {
        func outcome(_ ports: [UInt16: UInt64], kernel: UInt64?) -> RunOutcome {
            var outcome = RunOutcome.example([[.init(.portOut, [2000])]])
            let own = ports.map { port, exits in
                ExitPlaces.Place(
                    vcpu: 0, exit: .minivmm(.portOut), address: 0x7c00, subject: .port(port), exits: exits, time: 1,
                    histogram: [])
            }
            let settled = kernel.map { exits in
                ExitPlaces.Place(
                    vcpu: 0, exit: .kvm(code: 0x72, reason: .cpuid), address: 0x7c00,
                    subject: .cpuid(leaf: 0, subleaf: 0), exits: exits, time: 1, histogram: [])
            }
            outcome.places = ExitPlaces(
                places: own + [settled].compactMap(\.self), kernelLostExits: kernel.map { _ in 0 })
            if kernel != nil {
                outcome.scope = .all
                outcome.kernelSettled = .example([.init(code: 0x72, reason: 10, settled: [1])])
            }
            return outcome
        }
        let narrow = try recorded(outcome([0xe0: 2, 0xe1: 5, 0xe2: 7], kernel: nil))
        let wide = try recorded(outcome([0xe0: 3, 0xe1: 5, 0xe3: 1], kernel: 9))
        let other = try recorded(outcome([0xe1: 5], kernel: 4))
        let text = ComparisonReport(try .ofTwo(narrow, wide, names: ("a", "b"))).text
        XCTAssertTrue(
            text.contains(
                """

                exits A  B  change  exit    about
                      7  0    gone  io_out  port 0xe2
                      2  3  +50.0%  io_out  port 0xe0
                      0  1     new  io_out  port 0xe3
                By about: 1 is the same.

                """), text)
        let both = ComparisonReport(try .ofTwo(other, wide, names: ("a", "b"))).text
        XCTAssertTrue(
            both.contains("\n      4  9  +125.0%  kvm CPUID  leaf 0x0 (highest leaf, vendor)\n"), both)
    }

    private func recorded(_ outcome: RunOutcome) throws -> RecordedStatistics {
        try RecordedStatistics(json: RunRecord(outcome, leaves: .f22).json())
    }
}
