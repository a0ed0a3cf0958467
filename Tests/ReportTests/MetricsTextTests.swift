@testable import Counters
@testable import Report
@testable import TestSupport
import XCTest

/// The counters of a run as text for monitoring systems.
final class MetricsTextTests: XCTestCase {
    /// Two vCPUs at 2 GHz: two OUTs of 100 and 1000 cycles and one in progress on the first, which KVM settled exits of, too.
    private func sample(isRunning: Bool = true, kernel: KernelSettledExits? = nil) -> MetricsSample {
        let table = ExitCounterTable.inMemory(vcpuCount: 1)
        let counters = table.counters(of: 0)
        // The time that this takes the first time is booked as MiniVMM's own, and is not always the same.
        for cycles: UInt64 in [1000, 100] {
            counters.begin(.portOut)
            _ = counters.finish(.portOut, serviceCycles: cycles)
        }
        counters.begin(.portOut)
        counters.bookRun(cycles: 3_000_000_000)
        return MetricsSample(
            elapsed: .milliseconds(1250), isRunning: isRunning, vcpus: [CounterSnapshot(table, vcpu: 0)],
            times: { ServiceTimeHistogram($0, of: [table.counters(of: $1)]) }, kernelSettled: kernel,
            tscKHz: 2_000_000)
    }

    private func text(_ sample: MetricsSample, _ format: MetricsFormat, labels: [MetricsLabel] = []) -> String {
        MetricsText.text(sample, guest: "a \"b\"\\c\n", labels: labels, format: format)
            .replacing(#/(minivmm_internal_seconds_total{.*}) .*/#) { "\($0.1) TIME" }
    }

    private static let bounds = [
        "1.28e-07", "2.56e-07", "5.12e-07", "1.024e-06", "2.048e-06", "4.096e-06", "8.192e-06", "1.6384e-05",
        "3.2768e-05", "6.5536e-05", "0.000131072", "0.000262144", "0.000524288", "0.001048576", "0.002097152",
        "0.004194304", "0.008388608", "0.016777216", "+Inf",
    ]

    private func buckets(_ labels: String, _ counts: [Int], last: String = "") -> String {
        zip(Self.bounds, counts).map { bound, count in
            "minivmm_exit_duration_seconds_bucket{\(labels),le=\"\(bound)\"\(last)} \(count)\n"
        }.joined()
    }

    func testPrometheus() {
        let own = #"kind="io_out",sdm="30",vcpu="0",where="minivmm""#
        XCTAssertEqual(
            text(sample(), .prometheus),
            #"""
            # HELP minivmm_info MiniVMM, its guest, and which exits are counted: user or all.
            # TYPE minivmm_info gauge
            minivmm_info{version="\#(ReportMaker.version)",guest="a \"b\"\\c\\n",exits="user"} 1
            # HELP minivmm_running Whether the guest runs, or is watched: 0 in what is written afterwards.
            # TYPE minivmm_running gauge
            minivmm_running 1
            # HELP minivmm_elapsed_seconds Time since the start of the run, or of the watch.
            # TYPE minivmm_elapsed_seconds gauge
            minivmm_elapsed_seconds 1.25
            # HELP minivmm_exits_total VM exits by kind or reason, its number in the Intel SDM, and who settled them.
            # TYPE minivmm_exits_total counter
            minivmm_exits_total{\#(own)} 3
            # HELP minivmm_exit_duration_seconds What the finished exits took: the service time of MiniVMM's, KVM's own \#
            time for the kernel's.
            # TYPE minivmm_exit_duration_seconds histogram
            \#(buckets(own, [1, 1] + Array(repeating: 2, count: 17)))\#
            minivmm_exit_duration_seconds_sum{\#(own)} 5.5e-07
            minivmm_exit_duration_seconds_count{\#(own)} 2
            # HELP minivmm_kvm_run_seconds_total Time in KVM_RUN up to the latest exit: the guest's and the kernel's.
            # TYPE minivmm_kvm_run_seconds_total counter
            minivmm_kvm_run_seconds_total{vcpu="0"} 1.5
            # HELP minivmm_internal_exits_total VM exits that MiniVMM caused itself, which are in no other number.
            # TYPE minivmm_internal_exits_total counter
            minivmm_internal_exits_total{vcpu="0"} 0
            # HELP minivmm_internal_seconds_total What those took, and what MiniVMM took for its own records.
            # TYPE minivmm_internal_seconds_total counter
            minivmm_internal_seconds_total{vcpu="0"} TIME

            """#)
    }

    func testOpenMetrics() throws {
        let label = try XCTUnwrap(MetricsLabel(name: "team", value: "x\"\\\r\n"))
        // Three of HLT that KVM settled, and one that it passed on: 127 ns, 128 ns and 20 ms.
        let kernel = KernelSettledExits.example([
            .init(code: 0x78, reason: 12, settled: [127, 128, 20_000_000], passedOn: 1, halted: 500)
        ])
        let last = #",team="x\"\\"# + "\r" + #"\n""#
        let own = #"kind="io_out",sdm="30",vcpu="0",where="minivmm""# + last
        let settled = #"kind="HLT",sdm="12",vcpu="0",where="kvm""#
        let text = text(sample(isRunning: false, kernel: kernel), .openMetrics, labels: [label])
        XCTAssertTrue(
            text.hasPrefix(
                #"""
                # HELP minivmm MiniVMM, its guest, and which exits are counted: user or all.
                # TYPE minivmm info
                minivmm_info{version="\#(ReportMaker.version)",guest="a \"b\"\\c\\n",exits="all"\#(last)} 1
                # HELP minivmm_running Whether the guest runs, or is watched: 0 in what is written afterwards.
                # TYPE minivmm_running gauge
                minivmm_running{\#(last.dropFirst())} 0
                # HELP minivmm_elapsed_seconds Time since the start of the run, or of the watch.
                # TYPE minivmm_elapsed_seconds gauge
                # UNIT minivmm_elapsed_seconds seconds
                minivmm_elapsed_seconds{\#(last.dropFirst())} 1.25
                # HELP minivmm_exits VM exits by kind or reason, its number in the Intel SDM, and who settled them.
                # TYPE minivmm_exits counter
                minivmm_exits_total{\#(own)} 3
                minivmm_exits_total{\#(settled)\#(last)} 3
                """#), text)
        let counts = [1] + Array(repeating: 2, count: 17) + [3]
        XCTAssertTrue(text.contains(buckets(settled, counts, last: last)), text)
        XCTAssertTrue(text.contains("_sum{\(settled)\(last)} 0.020000255\n"), text)
        XCTAssertTrue(text.contains("# UNIT minivmm_kvm_run_seconds seconds\nminivmm_kvm_run_seconds_total{"), text)
        XCTAssertTrue(
            text.hasSuffix("minivmm_kernel_halted_seconds_total{vcpu=\"0\"\(last)} 5e-07\n# EOF\n"), text)
    }

    /// While the guest runs, what KVM has not finished is not told, nor what may still come out.
    func testNumbersOfARunThatGoesOn() {
        let carrying = KernelSettledExits.example([
            .init(code: 0x72, reason: 10, settled: [200, 200, 200, 200, 200], carried: 2)
        ])
        func count(_ sample: MetricsSample) -> UInt64? {
            sample.exits.first { $0.key.settler == .kvm }?.count
        }
        XCTAssertEqual(count(sample(isRunning: false, kernel: carrying)), 3)
        var running = sample(kernel: carrying)
        XCTAssertEqual(count(running), 2)
        running.keepRising(after: running.counts)
        XCTAssertEqual(count(running), 2)
        running.keepRising(after: running.counts.mapValues { $0 + 1 })
        XCTAssertEqual(count(running), 3)
        XCTAssertEqual(running.exits.first?.count, 4)
    }

    /// Another process's exits: KVM's as of a run, and of what was passed on the number and the sum.
    func testAWatch() {
        let exits = KernelSettledExits.example([
            .init(code: 0x78, reason: 12, settled: [127, 128], halted: 500),
            .init(code: 0x7b, reason: 30, settled: [], passedOn: 3),
        ])
        let sample = MetricsSample(elapsed: .seconds(2), isRunning: true, watched: exits, lostExits: 4)
        let text = text(sample, .prometheus)
        let out = #"kind="I/O",sdm="30",vcpu="0",where="vmm""#
        XCTAssertTrue(text.contains("\nminivmm_exits_total{\(out)} 3\n"), text)
        XCTAssertTrue(text.contains("minivmm_exit_duration_seconds_bucket{\(out),le=\"+Inf\"} 3\n"), text)
        XCTAssertEqual(text.matches(of: #/_bucket{kind="I/O"/#).count, 1)
        XCTAssertTrue(text.contains("_sum{\(out)} 3e-06\n"), text)
        let halt = #"kind="HLT",sdm="12",vcpu="0",where="kvm""#
        XCTAssertTrue(text.contains("\nminivmm_exits_total{\(halt)} 2\n"), text)
        XCTAssertTrue(text.contains(buckets(halt, [1] + Array(repeating: 2, count: 18))), text)
        XCTAssertTrue(text.contains("\nminivmm_kernel_halted_seconds_total{vcpu=\"0\"} 5e-07\n"), text)
        XCTAssertTrue(text.hasSuffix("\nminivmm_lost_exits_total 4\n"), text)
        // What a process's own machine is known by, and no other.
        XCTAssertFalse(text.contains("kvm_run") || text.contains("internal"), text)
    }

    func testLabels() {
        for name in ["team", "_x", "A9", "vm_name"] { XCTAssertNotNil(MetricsLabel(name: name, value: ""), name) }
        for name in ["", "9a", "__x", "a-b", "ä", "a b", "kind", "le", "guest", "where"] {
            XCTAssertNil(MetricsLabel(name: name, value: ""), name)
        }
    }
}
