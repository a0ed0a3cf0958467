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
        // The first of these has no subleaves.
        for ecx: UInt32 in [5, 6] { recorder.record(event(.cpuid, 1, extra: ecx), at: 1) }
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
        XCTAssertEqual(exits(.cpuid, .cpuid(leaf: 1, subleaf: 0), 1), [2])
        XCTAssertEqual(exits(.cpuid, .cpuid(leaf: 7, subleaf: 0), 1), [1])
        XCTAssertEqual(exits(.cpuid, .cpuid(leaf: 7, subleaf: 1), 1), [1])
        XCTAssertEqual(exits(.wrmsr, .msr(0xc000_0080), 1), [1])
        XCTAssertEqual(exits(.hypercall, .hypercall(5), 1), [1])
        XCTAssertEqual(exits(.hlt, nil, .max - 1), [1])
        XCTAssertEqual(places.count, 12)
        XCTAssertEqual(recorder.lostExits, 0)
    }

    func testLeavesWithSubleaves() {
        let all: [UInt32] = [
            0x4, 0x7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1a, 0x1b, 0x1d, 0x1f, 0x20, 0x23, 0x24,
            0x8000_001d, 0x8000_0020, 0x8000_0026, 0x4fff_fffc, 0x4fff_fffd, 0x4fff_fffe, 0x4fff_ffff,
        ]
        let ranges: [ClosedRange<UInt32>] = [0...0x100, 0x8000_0000...0x8000_0100, 0x4fff_ff00...0x5000_0000]
        XCTAssertEqual(
            Set(ranges.joined().filter(ExitPlaces.Subject.hasSubleaves)), Set(all))
    }

    func testPlacesThatAreTheSame() {
        func place(_ subleaf: UInt64, _ exits: UInt64) -> ExitPlaces.Place {
            .init(
                vcpu: 0, exit: .kvm(code: 0x72, reason: .cpuid), address: 1,
                subject: ExitPlaces.Subject(1 << 32 | subleaf, of: .cpuid), exits: exits, time: 10 * exits,
                histogram: [exits, 1])
        }
        let kept = ExitPlaces(places: [place(1, 2), place(7, 3)])
        XCTAssertEqual(kept.places.map(\.exits), [5])
        XCTAssertEqual(kept.places.map(\.time), [50])
        XCTAssertEqual(kept.places.map(\.histogram), [[5, 2]])
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
