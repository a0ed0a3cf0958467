@testable import Devices
import Synchronization
@testable import TestSupport
import XCTest

/// Input from the host: nothing is lost, nothing is doubled, and nobody waits for ever.
final class Serial16550InputTests: XCTestCase {
    private typealias Port = SerialHarness

    func testEarlyInputWaitsForTheDriver() {
        let port = SerialHarness()
        XCTAssertEqual(port.port.receive([0x41]), 0, "nobody listens")
        // What Linux does when it opens the port (serial8250_do_startup, serial8250_do_set_termios).
        port.write(Port.fcr, 0x01)
        port.write(Port.fcr, 0x07)
        port.write(Port.fcr, 0x00)
        for register in [Port.lsr, Port.rbr, Port.iir, Port.msr, Port.lsr, Port.lsr] { _ = port.read(register) }
        port.write(Port.ier, 0x02)
        port.write(Port.ier, 0x00)
        port.write(Port.mcr, 0x08)
        for register in [Port.lsr, Port.rbr, Port.iir, Port.msr] { _ = port.read(register) }
        XCTAssertEqual(port.port.receive([0x41]), 0, "still nobody")
        XCTAssertEqual(port.roomNotices, 0)
        port.write(Port.ier, 0x05)
        XCTAssertEqual(port.roomNotices, 1)
        XCTAssertEqual(port.port.receive([0x41, 0x42]), 1)
        port.write(Port.lcr, 0x93)
        port.write(Port.dll, 1)
        port.write(Port.dlm, 0)
        port.write(Port.lcr, 0x13)
        port.write(Port.fcr, 0x01)
        port.write(Port.fcr, 0x81)
        port.write(Port.mcr, 0x0B)
        XCTAssertEqual(port.read(Port.rbr), 0x41)
        XCTAssertEqual(port.roomNotices, 2)
    }

    func testInputWaitsWhileThePortIsClosed() {
        let port = SerialHarness()
        port.start()
        port.write(Port.ier, 0)
        XCTAssertEqual(port.port.receive([0x41]), 0)
        port.write(Port.ier, 0x05)
        XCTAssertEqual(port.roomNotices, 1)
    }

    func testPollingIsListening() {
        let port = SerialHarness()
        XCTAssertEqual(port.port.receive([0x41]), 0)
        var polls = 0
        while port.roomNotices == 0, polls < 1_000 {
            XCTAssertEqual(port.read(Port.lsr) & 0x01, 0)
            polls += 1
        }
        XCTAssertEqual(polls, 8)
        XCTAssertEqual(port.port.receive([0x41]), 1)
        XCTAssertEqual(port.read(Port.lsr) & 0x01, 0x01)
        XCTAssertEqual(port.read(Port.rbr), 0x41)
        XCTAssertEqual(port.levels, [])
    }

    func testPrintingIsNotPolling() {
        let port = SerialHarness()
        for _ in 0..<1_000 {
            _ = port.read(Port.lsr)
            port.write(Port.thr, 0x2E)
        }
        XCTAssertEqual(port.port.receive([0x41]), 0)
        XCTAssertFalse(port.port.receiveBreak())
    }

    func testReadinessIsToldWithoutTakingAByte() {
        let port = SerialHarness()
        XCTAssertFalse(port.port.isReadyToReceive())
        port.start()
        XCTAssertEqual(port.roomNotices, 1, "whoever asked is told")
        XCTAssertTrue(port.port.isReadyToReceive())
        XCTAssertEqual(port.read(Port.lsr) & 0x01, 0, "nothing was received")
        XCTAssertEqual(port.port.receive(0..<16), 16)
        XCTAssertFalse(port.port.isReadyToReceive())
        for _ in 0..<16 { _ = port.read(Port.rbr) }
        XCTAssertEqual(port.roomNotices, 2)
        XCTAssertTrue(port.port.isReadyToReceive())
        _ = port.read(Port.lsr)
        XCTAssertEqual(port.roomNotices, 2, "nobody waits")
    }

    func testRoomIsTold() {
        let port = SerialHarness()
        port.start()
        XCTAssertEqual(port.port.receive(0..<16), 16)
        XCTAssertEqual(port.roomNotices, 0)
        _ = port.read(Port.rbr)
        XCTAssertEqual(port.port.receive(16..<20), 1, "one place is free")
        for _ in 0..<15 { _ = port.read(Port.rbr) }
        XCTAssertEqual(port.roomNotices, 0, "not for every byte")
        XCTAssertEqual(port.read(Port.rbr), 16)
        XCTAssertEqual(port.roomNotices, 1)
        _ = port.read(Port.lsr)
        XCTAssertEqual(port.roomNotices, 1, "once")
    }

    func testNobodyIsToldWhoWasNotTurnedAway() {
        let port = SerialHarness()
        port.start()
        XCTAssertEqual(port.port.receive([1, 2]), 2)
        XCTAssertEqual(port.port.receive([]), 0)
        for _ in 0..<4 { _ = port.read(Port.rbr) }
        XCTAssertEqual(port.roomNotices, 0)
    }

    /// Two threads: a feeder that sleeps until there is room, and a guest that takes interrupts.
    func test64KiBArriveWhole() throws {
        let text = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let room = DispatchSemaphore(value: 0)
        let guest = SerialGuest { room.signal() }
        let port = guest.port
        Thread.detachNewThread {
            var rest = text[...]
            while !rest.isEmpty {
                rest = rest.dropFirst(port.receive(rest))
                if !rest.isEmpty { room.wait() }
            }
        }
        let received = guest.receive(text.count)
        XCTAssertTrue(received == text, "\(received.count) bytes of \(text.count)")
    }
}
