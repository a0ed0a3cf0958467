@testable import Counters
@testable import Report
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import Watch

/// What a watch is told as, with fixed numbers.
final class WatchReportTests: XCTestCase {
    /// A slot of exits that KVM settled, each in as long, and of others that it passed on.
    private func row(
        _ code: UInt32, _ reason: BasicExitReason?, settled: UInt64 = 0, each: UInt64 = 0, passedOn: UInt64 = 0,
        inside: UInt64 = 0, outside: UInt64 = 0, asleep: UInt64 = 0, open: UInt64 = 0
    ) -> KernelSettledExits.Row {
        var slot = ExitSlot()
        slot.count = settled + passedOn
        slot.user = passedOn
        slot.maximum = each
        slot.nanosecondsKernel = settled * each
        slot.nanosecondsToUser = inside
        slot.nanosecondsHalted = asleep
        slot.nanoseconds = settled * each + inside + outside + asleep
        var histogram = [UInt64](repeating: 0, count: ExitSlot.bucketCount)
        if each > 0 { histogram[each.bitWidth - 1 - each.leadingZeroBitCount] = settled }
        var row = KernelSettledExits.Row(code: code, reason: reason)
        row.add(slot, histogram)
        guard open > 0 else { return row }
        var unfinished = ExitSlot()
        unfinished.count = open
        row.add(unfinished, [])
        row.leaveOutUnfinished()
        return row
    }

    private var rows: [KernelSettledExits.Row] {
        [
            row(0x72, .cpuid, settled: 300, each: 1000),
            row(0x7b, .ioInstruction, passedOn: 100, inside: 200_000, outside: 400_000),
            row(0x78, .hlt, settled: 5, each: 2000, asleep: 1_500_000_000, open: 1),
            row(0x400, .eptViolation, settled: 90, each: 1000, passedOn: 4, inside: 4000, outside: 6000),
        ]
    }

    private func look(_ rows: [KernelSettledExits.Row], lost: UInt64 = 0, seconds: Int = 2) -> WatchLook {
        let exits = KernelSettledExits(
            isSVM: true, rows: rows, vcpus: [rows, [], []], kernelCount: nil, cyclesPerNanosecond: 1)
        return WatchLook(exits: exits, lostExits: lost, elapsed: .seconds(seconds))
    }

    private func outcome(
        _ rows: [KernelSettledExits.Row], lost: UInt64 = 0, check: KernelCheck? = nil, vcpus: [Int] = [0]
    ) -> WatchOutcome {
        WatchOutcome(
            process: 4711, name: "qemu-system-x86", vcpus: vcpus, machineCount: 1, method: .raw,
            look: look(rows, lost: lost), check: check)
    }

    func testTable() {
        var outcome = outcome(rows, check: KernelCheck(kernel: 500, tracepoints: 500...500))
        outcome.ending = .timeUp
        XCTAssertEqual(
            WatchReport(outcome).text,
            """
            exit           SDM  by   count  share  in KVM  in VMM     p50     p99     max
            I/O             30  VMM    100  59.4%   200us   400us
            CPUID           10  KVM    300  29.7%   300us          1.00us  1.00us  1.00us
            EPT violation   48  KVM     90   8.9%  90.0us          1.00us  1.00us  1.00us
            HLT             12  KVM      5   1.0%  10.0us          2.00us  2.00us  2.00us
            EPT violation   48  VMM      4   1.0%  4.00us  6.00us
            total                      500   100%   604us   406us
            (asleep)                                1.50s

            500 exits of process 4711 (qemu-system-x86, 1 vCPU) in 2.0 s: 250 a second.
            KVM settled 395 of them itself (79.0%); 104 came out to the process (by VMM); 1 was in progress at the end.
            Most frequent: CPUID (10), 60.0% of exits. Most expensive: I/O (30), 59.4% of the time.
            Check: KVM's own count rose by 500 exits meanwhile, the tracepoints' by 500.
            The watch ended because its time was up.

            """)
    }

    func testNothingSeen() {
        var outcome = outcome([], vcpus: [0, 1])
        outcome.ending = .processEnded
        XCTAssertEqual(
            WatchReport(outcome).text,
            """
            exit   SDM  by  count  share  in KVM  in VMM  p50  p99  max
            total               0      -     0ns     0ns

            0 exits of process 4711 (qemu-system-x86, 2 vCPUs) in 2.0 s: 0 a second.
            Check: KVM's own count (debugfs) cannot be read.
            The watch ended because the process has ended.

            """)
    }

    func testEachVCPU() {
        let text = WatchReport(outcome(rows, vcpus: [0, 2]), perVCPU: true).text
        XCTAssertEqual(text.components(separatedBy: "\nvCPU ").count, 3)
        XCTAssertTrue(text.contains("\n\nvCPU 2\nexit "), text)
        XCTAssertEqual(outcome(rows, vcpus: [2]).shownVCPUs, [0, 2])
    }

    func testLostExitsAndDifferencesAreSaid() {
        let text = WatchReport(outcome(rows, lost: 7, check: KernelCheck(kernel: 510, tracepoints: 500...503))).text
        XCTAssertTrue(
            text.contains("\n7 more exits are in no row: of vCPUs that came later and had no place.\n"), text)
        XCTAssertTrue(
            text.contains("rose by 510 exits meanwhile, the tracepoints' by 500 to 503: they differ.\n"), text)
        XCTAssertTrue(KernelCheck(kernel: 503, tracepoints: 500...503).agrees)
    }

    func testLine() {
        let before = look([row(0x72, .cpuid, settled: 100, each: 1000)])
        XCTAssertEqual(
            WatchLine(WatchInterval(from: before, to: look(rows, seconds: 4))).text,
            "4.0 s  500 exits  CPUID 100/s  I/O 50/s  EPT violation 47/s")
        XCTAssertEqual(WatchLine(WatchInterval(from: nil, to: look([], seconds: 0))).text, "0.0 s  0 exits")
    }

    func testIntervalsAddUp() throws {
        let first = look([row(0x72, .cpuid, settled: 100, each: 1000)], lost: 3, seconds: 1)
        let interval = WatchInterval(from: first, to: look(rows, lost: 5))
        XCTAssertEqual(interval.length, .seconds(1))
        XCTAssertEqual(interval.lostExits, 2)
        let cpuid = try XCTUnwrap(interval.exits.rows.first)
        XCTAssertEqual([cpuid.hardwareExits, cpuid.exits, cpuid.nanoseconds], [200, 200, 200_000])
        XCTAssertEqual(cpuid.histogram[9], 200)
        XCTAssertEqual(interval.exits.rows.count, 4)
        let nothing = WatchInterval(from: look(rows), to: look(rows))
        XCTAssertEqual(nothing.exits.rows, [])
    }

    func testRecordsAreThoseOfTheSchemas() throws {
        let schema = try JSONSchema(file: "watch.schema.json")
        var outcome = outcome(rows, check: KernelCheck(kernel: 500, tracepoints: 499...501))
        for ending in [WatchEnding.timeUp, .processEnded, .signal(2), .stopped] {
            outcome.ending = ending
            XCTAssertEqual(schema.problems(of: try JSONValue(WatchRecord(outcome).json())), [])
        }
        XCTAssertEqual(schema.problems(of: try JSONValue(WatchRecord(self.outcome([])).json())), [])
        let interval = WatchInterval(from: nil, to: look(rows))
        let line = try WatchIntervalRecord(interval).line()
        XCTAssertEqual(line.filter { $0 == UInt8(ascii: "\n") }.count, 1)
        let lines = try JSONSchema(file: "watch-interval.schema.json")
        XCTAssertEqual(lines.problems(of: try JSONValue(line)), [])
        for (schema, record) in [
            (schema, try JSONValue(WatchRecord(self.outcome(Array(rows.prefix(1)))).json())),
            (lines, try JSONValue(line)),
        ] {
            let cases = JSONDamage.all(of: record)
            XCTAssertGreaterThan(cases.count, 50)
            for damage in cases { XCTAssertNotEqual(schema.problems(of: damage.value), [], damage.what) }
        }
    }

    func testRecordHasTheNumbers() throws {
        var outcome = outcome(rows, check: KernelCheck(kernel: 500, tracepoints: 499...501))
        outcome.ending = .signal(2)
        let record = try JSONValue(WatchRecord(outcome).json())
        XCTAssertEqual(record["process"], .integer(4711))
        XCTAssertEqual(record["ending"], .string("signal"))
        XCTAssertEqual(record["duration_ns"], .integer(2_000_000_000))
        XCTAssertEqual(record["vcpus"]?.elements.count, 1)
        XCTAssertEqual(
            record["total"],
            try JSONValue(
                """
                {"processor_exits": 500, "settled_exits": 395, "passed_on_exits": 104, "ns": 400000,
                 "passed_on_ns": 204000, "user_ns": 406000, "halted_ns": 1500000000}
                """))
        XCTAssertEqual(
            record["check"],
            try JSONValue(#"{"kvm_exits": 500, "tracepoints_min": 499, "tracepoints_max": 501}"#))
        let io = try XCTUnwrap(record["reasons"]?[1])
        XCTAssertEqual([io["name"], io["code"], io["sdm"]], [.string("I/O"), .integer(0x7b), .integer(30)])
        XCTAssertEqual([io["passed_on_exits"], io["user_ns"]], [.integer(100), .integer(400_000)])
    }
}
