@testable import Devices
import Synchronization
@testable import TestSupport
import XCTest

/// Input from the host: nothing is lost, nothing is doubled, and nobody waits for ever.
final class Serial16550InputTests: XCTestCase {
    private typealias Port = SerialHarness

    /// What Linux does when it opens the port (serial8250_do_startup, serial8250_do_set_termios), up to where it takes
    /// interrupts; it reads and drops whatever is there.
    private func startLinux(_ port: SerialHarness) {
        port.write(Port.fcr, 0x01)
        port.write(Port.fcr, 0x07)
        port.write(Port.fcr, 0x00)
        for register in [Port.lsr, Port.rbr, Port.iir, Port.msr, Port.lsr, Port.lsr] { _ = port.read(register) }
        for _ in 0..<2 {
            port.write(Port.ier, 0x02)
            _ = port.read(Port.iir)
            port.write(Port.ier, 0x00)
        }
        port.write(Port.lcr, 0x03)
        port.write(Port.mcr, 0x08)
        port.write(Port.ier, 0x02)
        for register in [Port.lsr, Port.iir] { _ = port.read(register) }
        port.write(Port.ier, 0x00)
        for register in [Port.lsr, Port.rbr, Port.iir, Port.msr] { _ = port.read(register) }
        port.write(Port.ier, 0x05)
        port.write(Port.lcr, 0x93)
        port.write(Port.dll, 1)
        port.write(Port.dlm, 0)
        port.write(Port.lcr, 0x13)
        port.write(Port.fcr, 0x01)
        port.write(Port.fcr, 0x81)
        port.write(Port.mcr, 0x0B)
    }

    /// Reads what the line status announces.
    private func poll(_ port: SerialHarness) -> [UInt8] {
        var bytes: [UInt8] = []
        while port.read(Port.lsr) & 0x01 != 0 { bytes.append(port.read(Port.rbr)) }
        return bytes
    }

    func testAByteIsThereAtTheFirstLook() {
        let port = SerialHarness()
        XCTAssertEqual(port.port.receive([0x41, 0x42]), 1, "without FIFOs one fits")
        XCTAssertEqual(port.read(Port.lsr), 0x61)
        XCTAssertEqual(port.read(Port.rbr), 0x41)
        XCTAssertEqual(port.read(Port.lsr), 0x60)
        XCTAssertEqual(port.levels, [])
    }

    func testDataReadyDependsOnNothingElseThatIsRead() {
        for other in [Port.msr, Port.scr, Port.lcr, Port.mcr, Port.ier, Port.iir] {
            let port = SerialHarness()
            var rest = Array("hello.".utf8)[...]
            var received: [UInt8] = []
            for _ in 0..<20 {
                rest = rest.dropFirst(port.port.receive(rest))
                if port.read(Port.lsr) & 0x01 != 0 { received.append(port.read(Port.rbr)) }
                _ = port.read(other)
            }
            XCTAssertEqual(received, Array("hello.".utf8), "register \(other)")
        }
    }

    func testInterruptIdentificationNamesAByteWithoutOUT2() {
        let port = SerialHarness()
        port.write(Port.ier, 0x01)
        XCTAssertEqual(port.port.receive([0x41]), 1)
        XCTAssertEqual(port.read(Port.iir), 0x04)
        XCTAssertEqual(port.levels, [])
    }

    func testEarlyInputSurvivesTheStartOfLinux() {
        let port = SerialHarness()
        XCTAssertEqual(port.port.receive([0x41]), 1)
        startLinux(port)
        XCTAssertTrue(port.isHigh)
        XCTAssertEqual(port.port.receive([0x42]), 1)
        XCTAssertEqual(poll(port), [0x41, 0x42])
    }

    func testAFullFIFOSurvivesTheStartOfLinuxInItsOrder() {
        let port = SerialHarness()
        port.write(Port.fcr, 0x01)
        XCTAssertEqual(port.port.receive(1..<30), 16)
        startLinux(port)
        // Where Linux took one before it had switched the FIFO on, there would be 15.
        XCTAssertEqual(port.port.receive(17..<30), 0)
        XCTAssertEqual(poll(port), Array(1..<17))
        XCTAssertEqual(port.roomNotices, 1)
        XCTAssertEqual(port.port.receive(17..<30), 13)
        XCTAssertEqual(poll(port), Array(17..<30))
    }

    func testPrintingDuringTheStartOfLinuxLosesNothing() {
        let port = SerialHarness()
        XCTAssertEqual(port.port.receive([0x41]), 1)
        port.write(Port.fcr, 0x07)
        for _ in 0..<1_000 {
            XCTAssertEqual(port.read(Port.lsr), 0x60)
            port.write(Port.thr, 0x2E)
        }
        XCTAssertEqual(port.read(Port.rbr), 0)
        startLinux(port)
        XCTAssertEqual(poll(port), [0x41])
    }

    func testInputWaitsWhileThePortIsClosed() {
        let port = SerialHarness()
        startLinux(port)
        XCTAssertEqual(port.port.receive([0x41]), 1)
        // serial8250_do_shutdown
        port.write(Port.ier, 0)
        port.write(Port.mcr, 0)
        port.write(Port.fcr, 0x01)
        port.write(Port.fcr, 0x07)
        port.write(Port.fcr, 0)
        XCTAssertEqual(port.read(Port.rbr), 0)
        startLinux(port)
        XCTAssertEqual(poll(port), [0x41])
    }

    func testAPollingGuestThatResetsTheFIFOGetsItsInput() {
        let port = SerialHarness()
        XCTAssertEqual(port.port.receive([0x41]), 1)
        port.write(Port.fcr, 0xC7)
        var polls = 0
        while port.read(Port.lsr) & 0x01 == 0, polls < 1_000 { polls += 1 }
        XCTAssertEqual(polls, 64)
        XCTAssertEqual(port.read(Port.rbr), 0x41)
        XCTAssertEqual(port.port.receive(0..<20), 16)
    }

    func testWhatTheGuestSentItselfIsGoneAfterAReset() {
        let port = SerialHarness()
        port.write(Port.fcr, 0x01)
        XCTAssertEqual(port.port.receive([1, 2]), 2)
        port.write(Port.mcr, 0x10)
        XCTAssertEqual(port.port.receive([3]), 0, "the loop is closed")
        port.write(Port.thr, 0x99)
        port.write(Port.fcr, 0x03)
        port.write(Port.mcr, 0x00)
        for _ in 0..<100 { _ = port.read(Port.scr) }
        XCTAssertEqual(poll(port), [1, 2])
    }

    func testABreakNeedsNoDriver() {
        let port = SerialHarness()
        XCTAssertTrue(port.port.receiveBreak())
        XCTAssertEqual(port.read(Port.lsr), 0x71)
    }

    func testNothingIsFetchedForAGuestThatOnlyPrints() {
        let port = SerialHarness()
        XCTAssertFalse(port.port.isReadyToReceive())
        for _ in 0..<100 { port.write(Port.thr, 0x2E) }
        XCTAssertEqual(port.roomNotices, 0)
        _ = port.read(Port.lsr)
        XCTAssertEqual(port.roomNotices, 1)
        XCTAssertTrue(port.port.isReadyToReceive())
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
