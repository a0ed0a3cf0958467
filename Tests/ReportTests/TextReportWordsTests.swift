@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// The words below the table, and its emphasis.
final class TextReportWordsTests: XCTestCase {
    private let outcome = RunOutcome.example(
        [[.init(.portOut, (1...100).map { $0 * 100 }), .init(.cpuid, [1_000_000]), .init(.hlt, [4])]],
        runCycles: 8_000_000, trap: .none)

    func testGoldenReport() {
        XCTAssertEqual(
            TextReport(outcome).text,
            """
            An exit took 93.2k cycles (46.6us): 78.4k in KVM_RUN, guest included, 14.8k in MiniVMM.

            Service time in MiniVMM:
            exit    SDM  count  share  cycles   mean    p50    p99    max   time
            cpuid    10      1  66.4%   1.00M  1.00M  1.00M  1.00M  1.00M  500us
            io_out   30    100  33.6%    505k  5.05k  5.02k  9.92k  10.0k  253us
            hlt      12      1   0.0%       4      4      4      4      4    2ns
            total          102   100%   1.51M  14.8k                       753us

            102 exits in 250 ms; the guest halted.
            Most frequent: I/O (30), 98.0% of exits. Most expensive: CPUID (10), 66.4% of cycles.
            Time: 15.8% in MiniVMM, 84.2% in KVM_RUN. CPUID trap: none.

            """)
    }

    func testOneKindIsBothExtremes() {
        let text = TextReport(RunOutcome.example([[.init(.portIn, [10, 20])]])).text
        XCTAssertTrue(
            text.contains("\nMost frequent and most expensive: I/O (30), 100% of exits and 100% of cycles.\n"), text)
    }

    func testNoExtremesWithoutExits() {
        XCTAssertFalse(TextReport(RunOutcome.example([[]])).text.contains("Most"))
    }

    func testEmphasisChangesNothingElse() {
        let plain = TextReport(outcome, perVCPU: true).text
        let colored = TextReport(outcome, perVCPU: true, style: .colored).text
        XCTAssertFalse(plain.contains("\u{1b}"))
        XCTAssertTrue(colored.hasPrefix("\u{1b}[1mAn exit took 93.2k cycles"))
        XCTAssertTrue(colored.contains("\u{1b}[33mcpuid"))
        XCTAssertEqual(colored.replacing(#/\u{1b}\[[0-9]*m/#, with: ""), plain)
    }

    func testCountsTooLongForEightyColumnsAreShortened() {
        func row(exits: UInt64) -> [String] {
            let kind = KindStatistics(
                kind: .irqWindowOpen, exits: exits, serviceCycles: 45_678_901_234, p50: 999_400, p99: 999_400,
                max: 999_400)
            return TextReport(outcome).table(
                VCPUStatistics(vcpu: nil, kinds: [kind], runCycles: 0, internalExits: 0, internalCycles: 0))
        }
        XCTAssertTrue(row(exits: 99_999_999)[1].hasPrefix("irq_window_open    7  99999999  "))
        XCTAssertTrue(row(exits: 100_000_000)[1].hasPrefix("irq_window_open    7   100M  "))
        for line in row(exits: 99_999_999) { XCTAssertLessThanOrEqual(line.count, 80, line) }
    }
}
