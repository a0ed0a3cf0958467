@testable import Counters
import XCTest

final class TraceRecorderTests: XCTestCase {
    private func record(_ count: Int, in recorder: TraceRecorder) -> [Int] {
        (0..<count).filter { recorder.record(TraceEvent(start: UInt64($0))) > 0 }
    }

    func testKeepsTheLastExitsInOrder() throws {
        let recorder = try TraceRecorder(capacity: 20_000)
        _ = record(40_000, in: recorder)
        XCTAssertEqual(recorder.kept.map(\.start), (UInt64(40_000 - 32_768)..<40_000).map(\.self))
        XCTAssertEqual(recorder.recordedCount, 40_000)
    }

    /// Of 32 bytes an exit, a quarter of a megabyte at a time, and none once the ring has been round.
    func testTakesMemoryAsItIsUsed() throws {
        XCTAssertEqual(record(70_000, in: try TraceRecorder(capacity: 32_768)), [8192, 16_384, 24_576])
        XCTAssertEqual(record(100, in: try TraceRecorder(capacity: 10)), [], "all at first")
        XCTAssertEqual(record(20_000, in: try TraceRecorder(capacity: 8193)), [8192])
    }
}
