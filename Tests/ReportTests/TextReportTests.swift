@testable import Counters
@testable import Host
@testable import KVM
@testable import Report
@testable import TestSupport
import XCTest

/// The table of a run, from fixed numbers.
final class TextReportTests: XCTestCase {
    func testGoldenTable() {
        let outcome = RunOutcome.example(
            [
                [
                    .init(.portOut, (1...100).map { $0 * 100 }),
                    .init(.mmioRead, [5000, 7000]),
                    .init(.cpuid, [1_000_000]),
                    .init(.systemEvent, [4]),
                ]
            ],
            ending: .exitPort(3), runCycles: 8_000_000, internalCycles: [600, 401],
            unclaimedPorts: [UnclaimedAddress(address: 0x1f50, reads: 2, writes: 0)],
            unclaimedPages: [
                UnclaimedAddress(address: 0xa0000, reads: 1, writes: 0),
                UnclaimedAddress(address: 0xb8000, reads: 0, writes: 1500),
            ])
        XCTAssertEqual(
            TextReport(outcome).text,
            """
            An exit took 91.5k cycles (45.8us): 76.9k in KVM_RUN, guest included, 14.6k in MiniVMM.

            Service time in MiniVMM:
            exit          SDM  count  share  cycles   mean    p50    p99    max    time
            cpuid          10      1  65.9%   1.00M  1.00M  1.00M  1.00M  1.00M   500us
            io_out         30    100  33.3%    505k  5.05k  5.02k  9.92k  10.0k   253us
            mmio_read      48      2   0.8%   12.0k  6.00k  5.02k  7.00k  7.00k  6.00us
            system_event    -      1   0.0%       4      4      4      4      4     2ns
            total                104   100%   1.52M  14.6k                        759us
            (own steps)            2          1.00k    501                        501ns

            Ports that nobody claims: 0x1f50 (2r)
            Addresses that nobody claims: 0xa0000 (1r), 0xb8000 (1.50kw)
            104 exits in 250 ms; the guest exited with status 3.
            Most frequent: I/O (30), 96.2% of exits. Most expensive: CPUID (10), 65.9% of cycles.
            Time: 15.9% in MiniVMM, 84.1% in KVM_RUN. CPUID trap: debug.
            * Nobody claims page 0xb8000 (VGA memory): 1500 accesses, 100% of exits.

            """)
    }

    func testRunWithoutExits() {
        let outcome = RunOutcome.example([[]], ending: .timeout, duration: .seconds(2), trap: .none)
        XCTAssertEqual(
            TextReport(outcome).text,
            """
            exit   SDM  count  share  cycles  mean  p50  p99  max  time
            total           0      -       0     0                  0ns

            0 exits in 2 s; the timeout was reached.

            """)
    }

    func testOneExitAndNoFrequency() {
        let outcome = RunOutcome.example([[.init(.hlt, [123])]], runCycles: 877, tscKHz: nil, trap: .none)
        XCTAssertEqual(
            TextReport(outcome).text,
            """
            An exit took 1.00k cycles: 877 in KVM_RUN, guest included, 123 in MiniVMM.

            Service time in MiniVMM:
            exit   SDM  count  share  cycles  mean  p50  p99  max  time
            hlt     12      1   100%     123   123  123  123  123     -
            total           1   100%     123   123                    -

            1 exit in 250 ms; the guest halted.
            Most frequent and most expensive: HLT (12), 100% of exits and 100% of cycles.
            Time: 12.3% in MiniVMM, 87.7% in KVM_RUN. CPUID trap: none.

            """)
    }

    func testEachVCPU() {
        let outcome = RunOutcome.example([[.init(.portIn, [10])], [.init(.portIn, [30]), .init(.hlt, [1])]])
        let text = TextReport(outcome, perVCPU: true).text
        XCTAssertTrue(
            text.hasPrefix(
                """
                exit   SDM  count  share  cycles  mean  p50  p99  max    time
                io_in   30      2  97.6%      40    20   10   30   30    20ns
                hlt     12      1   2.4%       1     1    1    1    1  0.50ns
                total           3   100%      41  13.7                 20.5ns

                vCPU 0:
                exit   SDM  count  share  cycles  mean  p50  p99  max  time
                io_in   30      1   100%      10    10   10   10   10   5ns
                total           1   100%      10    10                  5ns

                vCPU 1:
                exit   SDM  count  share  cycles  mean  p50  p99  max    time
                io_in   30      1  96.8%      30    30   30   30   30  15.0ns
                hlt     12      1   3.2%       1     1    1    1    1  0.50ns
                total           2   100%      31  15.5                 15.5ns

                3 exits in 250 ms
                """), text)
    }

    func testTableOfEveryKindFitsIntoEightyColumns() {
        let cycles: [UInt64] = [99_999_999_999, 12_345_678]
        let outcome = RunOutcome.example([ExitKind.allCases.map { .init($0, cycles) }])
        let lines = TextReport(outcome).text.split(separator: "\n").prefix(ExitKind.allCases.count + 2)
        XCTAssertEqual(lines.last?.hasPrefix("total "), true)
        for line in lines { XCTAssertLessThanOrEqual(line.count, 80, "\(line)") }
    }

    func testLongListsOfAddressesAreCutShort() {
        let ports = (1...9).map { UnclaimedAddress(address: $0, reads: 1, writes: 2) }
        let text = TextReport(RunOutcome.example([[]], unclaimedPorts: ports)).text
        XCTAssertTrue(
            text.contains(
                """
                Ports that nobody claims: 0x1 (1r 2w), 0x2 (1r 2w), 0x3 (1r 2w), 0x4 (1r 2w), 0x5 (1r 2w), \
                0x6 (1r 2w), and 3 more

                """), text)
    }

    func testRunThatFailed() {
        let outcome = RunOutcome.example([[]], ending: .failed(KVMError.ioctl(name: "KVM_RUN", .accessDenied)))
        XCTAssertTrue(
            TextReport(outcome).text.contains(
                "0 exits in 250 ms; MiniVMM could not go on: KVM_RUN failed (EACCES: Permission denied).\n"),
            TextReport(outcome).text)
    }
}
