@testable import Report
@testable import TestSupport
import XCTest

/// Reports in JSON that somebody has damaged, or made to do harm: each is refused, or compared without harm.
final class RecordFuzzTests: XCTestCase {
    private static let count: UInt64 = TestExtent.of(2000, exhaustive: 100_000)
    private static let whole = Array(
        #"""
        {"schema":1,"kinds":[{"kind":"io_out","exits":3,"service_cycles":300,"p50":1,"p99":2,"max":3},
        {"kind":"hlt","exits":1,"service_cycles":9,"p50":9,"p99":9,"max":9}],
        "kernel_settled":{"extension":"vmx","exits":4,"reasons":[{"name":"EPT violation","sdm":48,"exits":4,
        "processor_exits":4,"halted_ns":0,"ns":18446744073709551615}],"kvm_exits":8},
        "total":{"exits":4,"service_cycles":309,"run_cycles":1,"internal_exits":0,"internal_cycles":0},"vcpus":[],
        "outcome":{"kind":"halted","summary":"\u001b","exit_status":0},"leaves":"f22","cpuid_trap":"\u001b[1m",
        "exits_scope":"all","duration_ns":18446744073709551615,"tsc_khz":4294967295,
        "context":{"command":["\u0007"],"started_at":"","guest":"\u001b[2J","memory_bytes":18446744073709551615,
        "vcpu_count":1,"processor":"\u009b","kernel":"6"}}
        """#.utf8)

    /// What `Scripts/fuzz records` begins with is still accepted: else it would get no further than that.
    func testSeedsOfTheFuzzerAreRecords() throws {
        try TestBed.skipWhereEmulated()
        for (name, count) in [("one", 1), ("two", 2), ("group", 3)] {
            let parts = try RepositoryFile.bytes("Tests/Fuzz/Corpus/records/\(name)").split(separator: 0)
            XCTAssertEqual(try parts.map { try RecordedStatistics(json: Array($0)) }.count, count, name)
        }
    }

    func testDamagedRecords() throws {
        try TestBed.skipWhereEmulated()
        let original = try RecordedStatistics(json: Self.whole)
        var refusedCount: UInt64 = 0
        for seed in 0..<Self.count {
            var generator = SeededGenerator(seed: seed)
            var bytes = Self.whole
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(UInt8.random(in: 0x30...0x39, using: &generator), at: place)
                default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 40)], at: place)
                }
            }
            guard let record = try? RecordedStatistics(json: bytes) else {
                refusedCount += 1
                continue
            }
            let text = ComparisonReport(try .ofTwo(original, record, names: ("a\r", "b\u{9b}"))).text
            let bad = text.unicodeScalars.filter { $0.value < 0x20 && $0 != "\n" || (0x7f...0x9f).contains($0.value) }
            XCTAssertTrue(bad.isEmpty, "seed \(seed)")
        }
        XCTAssertGreaterThan(refusedCount, Self.count / 10)
        XCTAssertLessThan(refusedCount, Self.count)
    }
}
