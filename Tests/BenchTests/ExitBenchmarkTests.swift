@testable import Bench
@testable import Counters
@testable import Host
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// What `minivmm bench` measures. Not how long anything takes: that is the host's business.
final class ExitBenchmarkTests: XCTestCase {
    func testEveryOperationIsMeasuredOrSaysWhyNot() throws {
        let kvm = try TestKVM.shared()
        var progress: [String] = []
        let outcome = ExitBenchmark(kvm: kvm, repetitions: 20).run { name, number, count in
            progress.append("\(number)/\(count) \(name)")
        }
        let all = BenchmarkOperation.all
        XCTAssertEqual(progress, all.enumerated().map { "\($0.offset + 1)/\(all.count) \($0.element.title)" })
        XCTAssertEqual(Set(outcome.results.map(\.name)).union(outcome.skipped.map(\.name)), Set(all.map(\.name)))
        XCTAssertEqual(outcome.results.count + outcome.skipped.count, all.count)
        for result in outcome.results {
            XCTAssertEqual(result.repetitions, 20, result.name)
            XCTAssertLessThanOrEqual(result.least, result.median, result.name)
            XCTAssertLessThanOrEqual(result.median, result.p99, result.name)
        }
        // What every bed can do.
        let measured = Set(outcome.results.map(\.name))
        for name in ["nothing", "out", "out_minivmm", "in", "outs_item", "ins_item", "hlt", "mmio_read", "cpuid_kvm"] {
            XCTAssertTrue(measured.contains(name), "\(name): \(outcome.skipped)")
        }
        for trap in [CPUIDTrap.debug, .patch, .step] {
            XCTAssertEqual(measured.contains("cpuid_\(trap.rawValue)"), try TestKVM.workingTraps().contains(trap))
        }
        for name in ["cpuid_fault", "cpuid_fault_0"] {
            XCTAssertEqual(measured.contains(name), try kvm.supportsFaultTrap(), "\(name): \(outcome.skipped)")
        }
    }

    func testPercentiles() {
        func result(_ samples: [UInt32]) -> [UInt32] {
            let result = BenchmarkResult(BenchmarkOperation.all[0], samples: samples)
            return [result.least, result.median, result.p99]
        }
        XCTAssertEqual(result([7]), [7, 7, 7])
        XCTAssertEqual(result([3, 1, 2]), [1, 2, 3])
        XCTAssertEqual(result([4, 3, 2, 1]), [1, 2, 4])
        XCTAssertEqual(result(Array((1...1000).reversed())), [1, 500, 990])
    }

    func testProgramsFitAndDiffer() {
        for operation in BenchmarkOperation.all where operation.vehicle == .ringThree {
            let program = BenchmarkProgram(inRingThree: operation, repetitions: ExitBenchmark.maximumRepetitions)
            XCTAssertLessThan(program.bytes.count, 128)
            XCTAssertLessThanOrEqual(
                BenchmarkProgram.samplesAddress + UInt64(program.count) * 4, BenchmarkProgram.ringThreeMemorySize)
        }
        for operation in BenchmarkOperation.all {
            let program = BenchmarkProgram(operation, repetitions: ExitBenchmark.maximumRepetitions)
            XCTAssertLessThan(program.bytes.count, 128)
            // The items of INS go to 0x8000 of the same segment.
            XCTAssertLessThanOrEqual(program.count * 4, 0x8000)
        }
        XCTAssertEqual(Set(BenchmarkOperation.all.map(\.name)).count, BenchmarkOperation.all.count)
    }

    private var example: BenchmarkOutcome {
        let operations = BenchmarkOperation.all
        let string = operations.first { $0.items > 1 } ?? operations[0]
        return BenchmarkOutcome(
            repetitions: 3, tscKHz: 2_000_000,
            host: HostDescription(processor: "CPU", kernelRelease: "6.1.0", modules: ["kvm"], hasInvariantTSC: true),
            results: [
                BenchmarkResult(operations[0], samples: [20, 30, 25]),
                BenchmarkResult(string, samples: [32_000, 64_000, 16_000]),
            ],
            skipped: [.init(operation: operations[1], reason: "It was late.")])
    }

    func testGoldenReport() {
        XCTAssertEqual(
            BenchmarkReport(example).text,
            """
            CPU, TSC 2000 MHz
            Linux 6.1.0, kvm

            operation               min  median     p99    time  repetitions
            nothing (two RDTSCs)     20      25      30  12.5ns            3
            REP OUTSB, per item   500.0  1000.0  2000.0   500ns            3

            Not measured:
              OUT: It was late.

            Cycles by the guest's RDTSC from before an operation to after it; the clock's own
            cost, the first row, is in every other. time is the median's.

            """)
    }

    /// Where KVM's tracepoints tell, there is a column more.
    func testTimeInKVM() throws {
        var outcome = example
        outcome.results[1] = BenchmarkResult(
            outcome.results[1].operation, samples: [32_000, 64_000, 16_000], kernelNanoseconds: 1230)
        let lines = BenchmarkReport(outcome).text.components(separatedBy: "\n")
        XCTAssertEqual(
            Array(lines[3...5]),
            [
                "operation               min  median     p99    time  times  in KVM",
                "nothing (two RDTSCs)     20      25      30  12.5ns      3",
                "REP OUTSB, per item   500.0  1000.0  2000.0   500ns      3  1.23us",
            ])
        XCTAssertEqual(lines.suffix(2), ["entry, or to the return of KVM_RUN where it passes the exit on.", ""])
        let results = try JSONValue(BenchmarkRecord(outcome).json())["results"]?.elements
        XCTAssertEqual(results?.map { $0["kernel_ns"]?.integer }, [nil, 1230])
    }

    func testGoldenRecord() throws {
        XCTAssertEqual(
            try JSONValue(BenchmarkRecord(example).json()),
            try JSONValue(
                """
                {
                  "schema": 1, "processor": "CPU", "kernel": "6.1.0", "modules": ["kvm"], "tsc_khz": 2000000,
                  "results": [
                    {
                      "name": "nothing", "title": "nothing (two RDTSCs)", "repetitions": 3, "items": 1, "min": 20,
                      "median": 25, "p99": 30
                    },
                    {
                      "name": "outs_item", "title": "REP OUTSB, per item", "repetitions": 3, "items": 32,
                      "min": 16000, "median": 32000, "p99": 64000
                    }
                  ],
                  "skipped": [{"name": "out", "title": "OUT", "reason": "It was late."}]
                }
                """))
    }

    func testCommand() throws {
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        let run = try CommandLineRun(["bench", "--repetitions", "5", "--json", folder.path("b.json")])
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "", "no progress where nobody watches")
        XCTAssertTrue(run.outputText.contains("\nOUT  "), run.outputText)
        for line in run.outputText.split(separator: "\n") where !line.hasPrefix("  ") {
            XCTAssertLessThanOrEqual(line.count, 81, "\(line)")
        }
        XCTAssertEqual(try JSONValue(folder.bytes("b.json"))["schema"]?.integer, 1)
        try CommandLineRun(["bench", "--repetitions", "0"]).assertStatus(64)
        try CommandLineRun(["bench", "--kvm-device", "/nonexistent"]).assertStatus(69)
    }
}
