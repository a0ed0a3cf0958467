@testable import TestSupport
import XCTest

/// --stats, --stats-file and --per-vcpu, and --log-level.
final class StatisticsOptionTests: KVMTestCase {
    func testTableIsTheDefault() throws {
        let run = try CommandLineRun(["run", "--guest", "hello"])
        let lines = run.errors.split(separator: "\n", omittingEmptySubsequences: false)
        XCTAssertEqual(
            lines.first { $0.hasPrefix("exit") }?.split(separator: " "),
            ["exit", "SDM", "count", "share", "cycles", "mean", "p50", "p99", "max", "time"])
        XCTAssertEqual(lines.filter { $0.hasPrefix("io_out ") }.count, 1)
        XCTAssertEqual(lines.filter { $0.hasPrefix("hlt ") }.count, 1)
        let total = try XCTUnwrap(lines.first { $0.hasPrefix("total ") })
        XCTAssertEqual(total.split(separator: " ").dropFirst().prefix(2), ["23", "100%"])
        XCTAssertTrue(run.errors.contains("\n23 exits in "), run.errors)
        XCTAssertTrue(run.errors.contains("; the guest halted.\n"), run.errors)
        XCTAssertTrue(run.errors.hasSuffix("CPUID trap: none.\n"), run.errors)
    }

    func testJSONIsTheOnlyThingOnStandardError() throws {
        let run = try CommandLineRun(["run", "--guest", "hello", "--stats", "json"])
        run.assertStatus(0)
        let record = try JSONValue(run.errors)
        XCTAssertEqual(record["schema"]?.integer, 1)
        XCTAssertEqual(record["total"]?["exits"]?.integer, 23)
        XCTAssertTrue(run.errors.hasSuffix("}\n"))
    }

    func testNoneSaysNothing() throws {
        let run = try CommandLineRun(["run", "--guest", "hello", "--stats", "none"])
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "")
    }

    func testFileTakesTheStatistics() throws {
        let folder = try makeFolder()
        // It exists, and is replaced.
        let file = try folder.file("stats", [UInt8](repeating: UInt8(ascii: "x"), count: 100_000))
        let table = try CommandLineRun(["run", "--guest", "hello", "--stats-file", file])
        table.assertStatus(0)
        XCTAssertEqual(table.errors, "")
        XCTAssertTrue(String(decoding: try folder.bytes("stats"), as: UTF8.self).hasPrefix("An exit took "))
        let json = try CommandLineRun(["run", "--guest", "hello", "--stats", "json", "--stats-file", file])
        XCTAssertEqual(json.errors, "")
        XCTAssertEqual(try JSONValue(folder.bytes("stats"))["schema"]?.integer, 1)
    }

    func testFileThatCannotBeMadeCostsNoRun() throws {
        let run = try CommandLineRun(["run", "--guest", "spin", "--stats-file", "/nonexistent/stats"])
        run.assertStatus(74)
        XCTAssertEqual(run.output, [])
        XCTAssertTrue(run.errors.contains("/nonexistent/stats cannot be written (ENOENT"), run.errors)
    }

    func testFileThatIsFull() throws {
        let run = try CommandLineRun(["run", "--guest", "hello", "--stats-file", "/dev/full"])
        run.assertStatus(74)
        XCTAssertEqual(run.outputText, "Hello from real mode!\n")
        XCTAssertTrue(run.errors.contains("/dev/full cannot be written (ENOSPC"), run.errors)
    }

    func testEachVCPU() throws {
        let run = try CommandLineRun(["run", "--guest", "hello", "--per-vcpu"])
        run.assertStatus(0)
        let lines = run.errors.split(separator: "\n", omittingEmptySubsequences: false)
        XCTAssertEqual(lines.filter { $0 == "vCPU 0:" }.count, 1)
        // With one vCPU, its table is that of the totals.
        let tables = lines.split { $0.isEmpty || $0.hasSuffix(":") }.filter { $0.first?.hasPrefix("exit ") == true }
        XCTAssertGreaterThan(try XCTUnwrap(tables.first).count, 2)
        XCTAssertEqual(tables.first, tables.dropFirst().first)
    }

    func testNumbersOfARealRunAddUp() throws {
        let record = try RecordedRun(["--guest", "counters"]).record
        let kinds = try XCTUnwrap(record["kinds"]).elements
        let total = try XCTUnwrap(record["total"])
        for key in ["exits", "service_cycles"] {
            XCTAssertEqual(kinds.reduce(0) { $0 + ($1[key]?.integer ?? 0) }, total[key]?.integer)
        }
        XCTAssertEqual(record["vcpus"]?.elements.count, 1)
        XCTAssertEqual(record["vcpus"]?[0]?["total"], total)
        XCTAssertEqual(record["vcpus"]?[0]?["kinds"], record["kinds"])
    }

    /// Read by a confined process, on each vCPU's thread.
    func testSchedulingAndHost() throws {
        let record = try RecordedRun(["--guest", "storm-smp", "--cpus", "2", "--argument", "1000"]).record
        XCTAssertNotNil(record["context"]?["host"]?["parameters"])
        guard access("/proc/self/schedstat", R_OK) == 0 else { throw XCTSkip("this kernel keeps no schedstat") }
        let threads = try XCTUnwrap(record["scheduling"]?["vcpus"]).elements
        XCTAssertEqual(threads.map { $0["vcpu"]?.integer }, [0, 1])
        for thread in threads { XCTAssertGreaterThan(try XCTUnwrap(thread["run_ns"]?.integer), 0) }
    }

    func testLogLevel() throws {
        let quiet = try CommandLineRun(["run", "--guest", "counters", "--stats", "none"])
        XCTAssertEqual(quiet.errors, "")
        let chatty = try CommandLineRun(["run", "--guest", "counters", "--stats", "none", "--log-level", "info"])
        XCTAssertEqual(chatty.errors.split(separator: "\n").count, 2)
        XCTAssertTrue(chatty.errors.contains("guest loaded"), chatty.errors)
        XCTAssertTrue(chatty.errors.contains(" info minivmm: "), chatty.errors)
        XCTAssertTrue(chatty.errors.contains("CPUID trap"), chatty.errors)
    }
}
