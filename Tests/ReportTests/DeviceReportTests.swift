@testable import Counters
@testable import Host
@testable import Report
@testable import TestSupport
import XCTest

/// What reports say of virtio devices.
final class DeviceReportTests: XCTestCase {
    private func outcome() -> RunOutcome {
        var outcome = RunOutcome.example([[.init(.mmioRead, [100])]])
        outcome.devices = [
            DeviceActivity(
                .console, name: "virtio console", exits: 90, isNotifiedByKernel: false, requests: 12,
                bytesFromGuest: 62,
                bytesToGuest: 59, interrupts: 7),
            DeviceActivity(
                .disk, name: "virtio disk 0", exits: 64, isNotifiedByKernel: true, requests: 2, bytesFromGuest: 65536,
                bytesToGuest: 0, interrupts: 1, hasFailed: true),
            DeviceActivity(
                .entropy, name: "virtio rng", exits: 0, isNotifiedByKernel: false, requests: 0, bytesFromGuest: 0,
                bytesToGuest: 0, interrupts: 0),
            DeviceActivity(
                .network, name: "virtio net 0", exits: 512, isNotifiedByKernel: true, requests: 3, bytesFromGuest: 512,
                bytesToGuest: 512, interrupts: 2,
                frames: DeviceActivity.FrameCounts(fromGuest: 1, toGuest: 2, dropped: 4)),
        ]
        return outcome
    }

    func testTable() {
        XCTAssertTrue(
            TextReport(outcome()).text.contains(
                """

                device          exits  notified  interrupts  requests    out   in  exits/KiB
                virtio console     90  by exits           7        12     62   59     761.65
                virtio disk 0      64  in KVM             1         2  65.5k    0        1.0
                virtio rng          0  by exits           0         0      0    0          -
                virtio net 0      512  in KVM             2         3    512  512      512.0
                virtio net 0: 1 frames out, 2 in, 4 dropped.
                The driver of virtio disk 0 has used it against the specification: it did nothing more until it was reset.

                """), TextReport(outcome()).text)
        XCTAssertFalse(TextReport(.example([[.init(.mmioRead, [100])]])).text.contains("device"))
    }

    func testRecord() throws {
        let schema = try JSONSchema(file: "run.schema.json")
        let json = try RunRecord(outcome(), leaves: .f22, exitStatus: 0).json()
        let value = try JSONValue(json)
        XCTAssertEqual(schema.problems(of: value), [])
        let text = String(decoding: json, as: UTF8.self)
        XCTAssertTrue(text.contains("\"notifications\" : \"kernel\""), text)
        XCTAssertTrue(text.contains("\"bytes_from_guest\" : 65536"), text)
        XCTAssertEqual(text.components(separatedBy: "\"frames_dropped\" : 4").count, 2, text)
        XCTAssertEqual(text.components(separatedBy: "\"frames_").count, 4, text)
        let without = try RunRecord(.example([[]]), leaves: .f22, exitStatus: 0).json()
        XCTAssertFalse(String(decoding: without, as: UTF8.self).contains("\"devices\""))
    }
}
