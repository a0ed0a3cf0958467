@testable import TestSupport
import XCTest

@testable import Counters

/// The places of exits, without a guest.
final class PlaceRecorderTests: XCTestCase {
    private func event(_ kind: ExitKind, _ subject: UInt64, extra: UInt32 = 0, cycles: UInt64 = 100) -> TraceEvent {
        TraceEvent(cycles: cycles, subject: subject, extra: extra, width: 4, kindNumber: UInt8(kind.rawValue))
    }

    func testWhatMakesAPlace() throws {
        let recorder = try PlaceRecorder(capacity: 100)
        recorder.record(event(.portOut, 0x80), at: 0x7c00)
        // A string instruction's items are no other place.
        recorder.record(event(.portOut, 0x80, extra: 5), at: 0x7c00)
        recorder.record(event(.portOut, 0x80), at: 0x7c02)
        recorder.record(event(.portIn, 0x80), at: 0x7c00)
        recorder.record(event(.portOut, 0x81), at: 0x7c00)
        for address: UInt64 in [0xfee0_0020, 0xfee0_0ff0, 0xfee0_1000] {
            recorder.record(event(.mmioWrite, address), at: 1)
        }
        for subleaf: UInt32 in [0, 1] { recorder.record(event(.cpuid, 7, extra: subleaf), at: 1) }
        recorder.record(event(.wrmsr, 0xc000_0080), at: 1)
        recorder.record(event(.hypercall, 5), at: 1)
        recorder.record(event(.hlt, 0), at: .max)
        let places = recorder.places(ofVCPU: 3)
        XCTAssertEqual(Set(places.map(\.vcpu)), [3])
        func exits(_ kind: ExitKind, _ subject: ExitPlaces.Subject?, _ address: UInt64) -> [UInt64] {
            places.filter { $0.exit == .minivmm(kind) && $0.subject == subject && $0.address == address }.map(\.exits)
        }
        XCTAssertEqual(exits(.portOut, .port(0x80), 0x7c00), [2])
        XCTAssertEqual(exits(.portOut, .port(0x80), 0x7c02), [1])
        XCTAssertEqual(exits(.portIn, .port(0x80), 0x7c00), [1])
        XCTAssertEqual(exits(.portOut, .port(0x81), 0x7c00), [1])
        XCTAssertEqual(exits(.mmioWrite, .page(0xfee0_0000), 1), [2])
        XCTAssertEqual(exits(.mmioWrite, .page(0xfee0_1000), 1), [1])
        XCTAssertEqual(exits(.cpuid, .cpuid(leaf: 7, subleaf: 0), 1), [1])
        XCTAssertEqual(exits(.cpuid, .cpuid(leaf: 7, subleaf: 1), 1), [1])
        XCTAssertEqual(exits(.wrmsr, .msr(0xc000_0080), 1), [1])
        XCTAssertEqual(exits(.hypercall, .hypercall(5), 1), [1])
        XCTAssertEqual(exits(.hlt, nil, .max - 1), [1])
        XCTAssertEqual(places.count, 11)
        XCTAssertEqual(recorder.lostExits, 0)
    }

    func testTimes() throws {
        let recorder = try PlaceRecorder(capacity: 1)
        for cycles: UInt64 in [0, 1, 2, 1023, 1024, 1 << 31, .max >> 1] {
            recorder.record(event(.portOut, 1, cycles: cycles), at: 1)
        }
        let place = try XCTUnwrap(recorder.places(ofVCPU: 0).first)
        XCTAssertEqual(place.time, 1 + 2 + 1023 + 1024 + 1 << 31 + (.max >> 1))
        let buckets = place.histogram.enumerated().filter { $0.element > 0 }.map { [$0.offset, Int($0.element)] }
        XCTAssertEqual(buckets, [[0, 2], [1, 1], [9, 1], [10, 1], [31, 2]])
        XCTAssertEqual(ExitPlaces.quantile(0.5, of: place.histogram), 1023)
        XCTAssertEqual(ExitPlaces.quantile(0.99, of: place.histogram), (1 << 32) - 1)
        XCTAssertEqual(ExitPlaces.quantile(0.99, of: []), 0)
    }

    func testWhatFindsNoRoomIsCounted() throws {
        for capacity in [1, 100, 4096, 10_000] {
            let recorder = try PlaceRecorder(capacity: capacity)
            for round: UInt64 in 0..<2 {
                for page: UInt64 in 0..<10_000 {
                    recorder.record(event(.mmioRead, page << 12 | round), at: 0xffff_ffff_8100_0000)
                }
            }
            let places = recorder.places(ofVCPU: 0)
            XCTAssertLessThanOrEqual(places.count, capacity)
            // Of a table that is half full nearly all slots are found within the steps.
            XCTAssertGreaterThan(Double(places.count), Double(capacity) * 0.99)
            XCTAssertTrue(places.allSatisfy { $0.exits == 2 })
            XCTAssertEqual(recorder.lostExits, 20_000 - 2 * UInt64(places.count))
        }
    }

    /// CPUIDs that came out by a fault are MiniVMM's, and not KVM's besides.
    func testCarriedExits() {
        func place(_ exit: ExitPlaces.Exit, _ address: UInt64, _ subject: ExitPlaces.Subject?, _ exits: UInt64)
            -> ExitPlaces.Place
        {
            .init(vcpu: 0, exit: exit, address: address, subject: subject, exits: exits, time: 1, histogram: [exits])
        }
        let kernel = ExitPlaces.Exit.kvm(code: 0x72, reason: .cpuid)
        let leaf = ExitPlaces.Subject.cpuid(leaf: 1, subleaf: 0)
        let own = [
            place(.minivmm(.cpuid), 0x10, leaf, 3), place(.minivmm(.cpuid), 0x10, .cpuid(leaf: 2, subleaf: 0), 4),
            place(.minivmm(.portOut), 0x20, .port(1), 5),
        ]
        var places = [place(kernel, 0x10, nil, 9), place(kernel, 0x20, nil, 5), place(kernel, 0x10, leaf, 1)]
        places.removeCarried(by: own)
        XCTAssertEqual(places.map(\.exits), [2, 5, 1])
        places.removeCarried(by: own)
        XCTAssertEqual(places.map(\.exits), [5, 1])
    }
}
