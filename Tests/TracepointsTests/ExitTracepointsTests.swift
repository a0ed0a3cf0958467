import CKVM
import Host
@testable import TestSupport
import XCTest

@testable import Tracepoints

/// The programs, the kernel's verifier and attachment; what they count needs a guest.
final class ExitTracepointsTests: XCTestCase {
    /// Attaches, or skips where the kernel does not let this process.
    private func attach(
        _ method: ExitTracepoints.Method, places: Int? = nil, ring: Int? = nil, process: Int32? = nil
    ) throws -> ExitTracepoints {
        do {
            return try ExitTracepoints(
                method: method, threadCount: 2, process: process, placeCapacity: places, ringCapacity: ring)
        } catch TracepointError.notPermitted(let call, let error, _) {
            throw XCTSkip("not permitted (\(call): \(error.name))")
        } catch TracepointError.noTraceFileSystem(let error) {
            throw XCTSkip("no tracefs (\(error.name))")
        } catch TracepointError.noTypes {
            throw XCTSkip("this kernel does not describe its types")
        } catch TracepointError.noTracepoint(let name) {
            throw XCTSkip("this kernel has no tracepoint \(name)")
        }
    }

    func testTheVerifierTakesAllPrograms() throws {
        for method in ExitTracepoints.Method.allCases {
            let tracepoints = try attach(method)
            XCTAssertEqual(tracepoints.method, method)
            try tracepoints.add(thread: ckvm_thread_id(), as: 1)
            for reason in [0, ExitReasonIndex.count - 1] {
                XCTAssertEqual(tracepoints.slot(thread: 1, reason: reason), ExitSlot())
                XCTAssertEqual(tracepoints.histogram(thread: 1, reason: reason).count, 32)
            }
        }
    }

    func testTheVerifierTakesThoseThatKeepPlaces() throws {
        for method in ExitTracepoints.Method.allCases {
            let tracepoints = try attach(method, places: 100)
            try tracepoints.add(thread: ckvm_thread_id(), as: 0)
            XCTAssertEqual(tracepoints.takePlaces(), [])
            XCTAssertEqual(tracepoints.lostPlaces(ofThread: ckvm_thread_id()), 0)
        }
    }

    func testTheVerifierTakesThoseThatKeepARing() throws {
        for method in ExitTracepoints.Method.allCases {
            XCTAssertFalse(try attach(method).keepsEvents)
            for places in [nil, 100] {
                let tracepoints = try attach(method, places: places, ring: 100)
                XCTAssertTrue(tracepoints.keepsEvents)
                try tracepoints.add(thread: ckvm_thread_id(), as: 1)
                let events = tracepoints.events(thread: ckvm_thread_id(), as: 1)
                XCTAssertEqual(events.kept, [])
                XCTAssertEqual(events.lostCount, 0)
            }
        }
    }

    func testARingThatNoMapCanHoldIsRefused() throws {
        _ = try attach(.raw)
        XCTAssertThrowsError(try ExitTracepoints(method: .raw, threadCount: 1 << 6, ringCapacity: 1 << 26)) {
            XCTAssertEqual(
                $0 as? TracepointError,
                .noRoomForTrace(events: 1 << 26, threads: 1 << 6, ErrorNumber(rawValue: E2BIG)))
        }
    }

    private static let histogram = (0..<32).map { UInt64($0) }

    func testPlacesAsTheMapHasThem() {
        let slot = UInt64(ExitReasonIndex.count + 0x72)
        let place = ExitPlace(key: [slot, 0x7c00, 0x4000_0000 << 32 | 7], value: [3, 900] + Self.histogram)
        XCTAssertEqual(place?.thread, 1)
        XCTAssertEqual(place?.reason, 0x72)
        XCTAssertEqual(place?.address, 0x7c00)
        XCTAssertEqual(place?.detail, 0x4000_0000_0000_0007)
        XCTAssertEqual(place?.count, 3)
        XCTAssertEqual(place?.nanoseconds, 900)
        XCTAssertEqual(place?.histogram, Self.histogram)
        XCTAssertNil(ExitPlace(key: [slot, 0, .max], value: [1, 1] + Self.histogram)?.detail)
        XCTAssertNil(ExitPlace(key: [slot], value: [1, 1]))
    }

    func testTheVerifierTakesAllProgramsThatWatch() throws {
        for method in ExitTracepoints.Method.allCases {
            let tracepoints = try attach(method, process: getppid())
            XCTAssertEqual(tracepoints.slot(thread: 1, reason: ExitReasonIndex.count - 1), ExitSlot())
            XCTAssertEqual(tracepoints.lostExits, 0)
        }
    }

    func testNothingStaysBehind() throws {
        let programs = LoadedPrograms()
        do {
            let tracepoints = try attach(.raw)
            XCTAssertEqual(programs.newCount, 4)
            withExtendedLifetime(tracepoints) {}
        }
        XCTAssertEqual(programs.remainingCount, 0)
    }

    func testTwoAtOnce() throws {
        let first = try attach(.raw)
        let second = try attach(.raw)
        try first.add(thread: ckvm_thread_id(), as: 0)
        try second.add(thread: ckvm_thread_id(), as: 0)
    }
}
