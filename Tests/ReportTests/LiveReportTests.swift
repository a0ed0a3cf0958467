@testable import Counters
@testable import Report
import Synchronization
@testable import TestSupport
import XCTest

/// The counters of a run that goes on.
final class LiveReportTests: XCTestCase {
    func testShowsWhatTheCountersSay() {
        let table = ExitCounterTable.inMemory(vcpuCount: 2)
        for vcpu in 0..<2 {
            let counters = table.counters(of: vcpu)
            counters.begin(.portOut)
            _ = counters.finish(.portOut, serviceCycles: 1_000)
            counters.begin(.mmioRead)
            _ = counters.finish(.mmioRead, serviceCycles: 3_000 + 1_000 * UInt64(vcpu))
            counters.bookRun(cycles: 1 << 50)
        }
        // In progress: counted, and not yet paid for.
        table.counters(of: 0).begin(.portOut)
        XCTAssertEqual(
            LiveReport(CounterSnapshot(table), tscKHz: 1_000_000).text,
            """
            exit       SDM  count  share  cycles   mean    max    time
            mmio_read   48      2  77.8%   7.00k  3.50k  4.00k  7.00us
            io_out      30      3  22.2%   2.00k    667  1.00k  2.00us
            total               5   100%   9.00k  1.80k         9.00us
            So far: 0.0% of the time in MiniVMM, 100% in KVM_RUN.

            """)
    }

    func testShowsARunWithoutExits() {
        XCTAssertEqual(
            LiveReport(CounterSnapshot(ExitCounterTable.inMemory(vcpuCount: 1)), tscKHz: nil).text,
            """
            exit   SDM  count  share  cycles  mean  max  time
            total           0      -       0     0          -
            So far: - of the time in MiniVMM, - in KVM_RUN.

            """)
    }

    func testFitsATerminal() {
        let table = ExitCounterTable.inMemory(vcpuCount: 1)
        for kind in ExitKind.allCases {
            table.counters(of: 0).begin(kind)
            _ = table.counters(of: 0).finish(kind, serviceCycles: 1 << 62)
        }
        let lines = LiveReport(CounterSnapshot(table), tscKHz: 3).text.split(separator: "\n")
        XCTAssertEqual(lines.count, ExitKind.allCases.count + 3)
        for line in lines { XCTAssertLessThanOrEqual(line.count, 80, String(line)) }
    }

    /// Run under the thread sanitizer, this shows that nothing but atomics is shared with a vCPU that runs.
    func testCanBeTakenWhileAVCPURuns() {
        let table = ExitCounterTable.inMemory(vcpuCount: 1)
        let hasEnded = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            let counters = table.counters(of: 0)
            for cycles in 0..<100_000 as Range<UInt64> {
                counters.begin(.portIn)
                _ = counters.finish(.portIn, serviceCycles: cycles)
            }
            hasEnded.signal()
        }
        var last: UInt64 = 0
        while last < 100_000 {
            let exits = CounterSnapshot(table).exits
            XCTAssertGreaterThanOrEqual(exits, last)
            last = exits
        }
        hasEnded.wait()
        XCTAssertEqual(CounterSnapshot(table).kinds.first?.max, 99_999)
    }
}
