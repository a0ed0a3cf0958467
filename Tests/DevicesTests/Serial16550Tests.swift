@testable import Devices
@testable import TestSupport
import XCTest

/// Registers and interrupts, by the PC16550D data sheet.
final class Serial16550Tests: XCTestCase {
    private typealias Port = SerialHarness

    func testStateAfterPowerOn() {
        let port = SerialHarness()
        XCTAssertEqual(port.read(Port.ier), 0)
        XCTAssertEqual(port.read(Port.iir), 0x01)
        XCTAssertEqual(port.read(Port.lcr), 0)
        XCTAssertEqual(port.read(Port.mcr), 0)
        XCTAssertEqual(port.read(Port.lsr), 0x60, "transmitter empty, nothing received")
        XCTAssertEqual(port.read(Port.msr), 0xB0, "carrier, DSR and CTS; no change")
        XCTAssertEqual(port.levels, [])
    }

    func testPolledOutput() {
        let port = SerialHarness()
        for byte in Array("Hello\n".utf8) {
            XCTAssertEqual(port.read(Port.lsr) & 0x20, 0x20)
            port.write(Port.thr, byte)
        }
        XCTAssertEqual(port.transmitted, Array("Hello\n".utf8))
        XCTAssertEqual(port.levels, [])
    }

    func testScratchAndLineControlKeepWhatIsWritten() {
        let port = SerialHarness()
        for value: UInt8 in [0xA5, 0x5A, 0x00, 0x7F] {
            port.write(Port.scr, value)
            port.write(Port.lcr, value)
            XCTAssertEqual(port.read(Port.scr), value)
            XCTAssertEqual(port.read(Port.lcr), value)
        }
    }

    func testBitsThatDoNotExistReadAsZeros() {
        let port = SerialHarness()
        port.write(Port.ier, 0xFF)
        port.write(Port.mcr, 0xFF)
        XCTAssertEqual(port.read(Port.ier), 0x0F)
        XCTAssertEqual(port.read(Port.mcr), 0x1F)
    }

    func testStatusRegistersCannotBeWritten() {
        let port = SerialHarness()
        port.write(Port.lsr, 0)
        port.write(Port.msr, 0x0F)
        XCTAssertEqual(port.read(Port.lsr), 0x60)
        XCTAssertEqual(port.read(Port.msr), 0xB0)
    }

    func testDivisorHidesDataAndInterruptEnable() {
        let port = SerialHarness()
        port.write(Port.ier, 0x05)
        port.write(Port.lcr, 0x83)
        XCTAssertNotEqual([port.read(Port.dll), port.read(Port.dlm)], [0, 0], "Linux divides by it")
        port.write(Port.dll, 0x34)
        port.write(Port.dlm, 0x12)
        XCTAssertEqual(port.read(Port.dll), 0x34)
        XCTAssertEqual(port.read(Port.dlm), 0x12)
        port.write(Port.lcr, 0x03)
        XCTAssertEqual(port.read(Port.ier), 0x05)
        XCTAssertEqual(port.transmitted, [], "the divisor's low byte is no output")
        port.write(Port.lcr, 0x83)
        XCTAssertEqual(port.read(Port.dll), 0x34)
        XCTAssertEqual(port.read(Port.dlm), 0x12)
    }

    func testIdentificationShowsFIFOs() {
        let port = SerialHarness()
        port.write(Port.fcr, 0x01)
        XCTAssertEqual(port.read(Port.iir), 0xC1)
        port.write(Port.fcr, 0x00)
        XCTAssertEqual(port.read(Port.iir), 0x01)
    }

    func testEmptyTransmitterInterrupts() {
        let port = SerialHarness()
        port.write(Port.mcr, 0x08)
        port.write(Port.ier, 0x02)
        XCTAssertTrue(port.isHigh, "enabled while empty")
        XCTAssertEqual(port.read(Port.iir), 0x02)
        XCTAssertFalse(port.isHigh, "reading the identification clears it")
        XCTAssertEqual(port.read(Port.iir), 0x01)
        port.write(Port.thr, 0x41)
        XCTAssertTrue(port.isHigh, "empty again")
        port.write(Port.thr, 0x42)
        port.write(Port.ier, 0x00)
        XCTAssertFalse(port.isHigh)
        port.write(Port.ier, 0x02)
        XCTAssertTrue(port.isHigh)
        XCTAssertEqual(port.levels, [true, false, true, false, true], "changes only")
    }

    func testOUT2GatesTheLine() {
        let port = SerialHarness()
        port.write(Port.ier, 0x02)
        XCTAssertEqual(port.levels, [])
        port.write(Port.mcr, 0x08)
        XCTAssertTrue(port.isHigh)
        port.write(Port.mcr, 0x00)
        XCTAssertFalse(port.isHigh)
        XCTAssertEqual(port.read(Port.iir), 0x02, "pending all the same")
    }

    func testTriggerLevels() {
        for (code, level) in [(0, 1), (1, 4), (2, 8), (3, 14)] {
            let port = SerialHarness()
            port.start(trigger: UInt8(code))
            for count in 1...16 {
                XCTAssertEqual(port.port.receive([0x30]), 1)
                XCTAssertTrue(port.isHigh, "below the trigger level the timeout interrupts at once")
                XCTAssertEqual(port.read(Port.iir), count >= level ? 0xC4 : 0xCC, "\(count) of \(level)")
            }
            for left in (0..<16).reversed() {
                XCTAssertEqual(port.read(Port.rbr), 0x30)
                let expected: UInt8 = left == 0 ? 0xC1 : left >= level ? 0xC4 : 0xCC
                XCTAssertEqual(port.read(Port.iir), expected, "\(left) left of \(level)")
            }
            XCTAssertEqual(port.levels, [true, false])
        }
    }

    func testWithoutFIFOsOneByteFits() {
        let port = SerialHarness()
        port.write(Port.mcr, 0x0B)
        port.write(Port.ier, 0x01)
        XCTAssertEqual(port.port.receive([1, 2, 3]), 1)
        XCTAssertEqual(port.read(Port.iir), 0x04)
        XCTAssertEqual(port.read(Port.rbr), 1)
        XCTAssertEqual(port.read(Port.iir), 0x01)
        XCTAssertEqual(port.roomNotices, 1)
        XCTAssertEqual(port.port.receive([2, 3]), 1)
    }

    func testResettingTheReceiverEmptiesIt() {
        let port = SerialHarness()
        port.start()
        XCTAssertEqual(port.port.receive([1, 2, 3]), 3)
        port.write(Port.fcr, 0x02)
        XCTAssertEqual(port.read(Port.lsr) & 0x01, 0x01, "not without the enable bit in the same write")
        port.write(Port.fcr, 0x03)
        XCTAssertEqual(port.read(Port.lsr), 0x60)
        XCTAssertFalse(port.isHigh)
    }

    func testChangeOfModeKeepsWhatWasReceived() {
        let port = SerialHarness()
        port.write(Port.mcr, 0x0B)
        port.write(Port.ier, 0x05)
        XCTAssertEqual(port.port.receive([0x41]), 1)
        port.write(Port.fcr, 0x01)
        port.write(Port.fcr, 0x81)
        XCTAssertEqual(port.port.receive([0x42]), 1)
        XCTAssertEqual(port.read(Port.rbr), 0x41)
        XCTAssertEqual(port.read(Port.rbr), 0x42)
    }

    func testBreakIsReportedWithItsByte() {
        let port = SerialHarness()
        port.start()
        XCTAssertEqual(port.port.receive([0x41]), 1)
        XCTAssertTrue(port.port.receiveBreak())
        XCTAssertEqual(port.read(Port.iir), 0xCC, "the break is not the oldest yet")
        XCTAssertEqual(port.read(Port.lsr), 0xE1, "but there is an error in the FIFO")
        XCTAssertEqual(port.read(Port.rbr), 0x41)
        XCTAssertEqual(port.read(Port.iir), 0xC6)
        XCTAssertEqual(port.read(Port.lsr), 0xF1)
        XCTAssertEqual(port.read(Port.lsr), 0x61, "reading clears the errors")
        XCTAssertEqual(port.read(Port.iir), 0xCC)
        XCTAssertEqual(port.read(Port.rbr), 0)
        XCTAssertEqual(port.read(Port.iir), 0xC1)
    }

    func testPriorities() {
        let port = SerialHarness()
        port.start(interrupts: 0x0F)
        // A modem line that changes while the loop is closed stays changed when it is open again.
        port.write(Port.mcr, 0x18)
        port.write(Port.mcr, 0x0B)
        XCTAssertTrue(port.port.receiveBreak())
        XCTAssertEqual(port.read(Port.iir), 0xC6)
        XCTAssertEqual(port.read(Port.lsr) & 0x10, 0x10)
        XCTAssertEqual(port.read(Port.iir), 0xCC)
        XCTAssertEqual(port.read(Port.rbr), 0)
        XCTAssertEqual(port.read(Port.iir), 0xC2)
        XCTAssertEqual(port.read(Port.iir), 0xC0)
        XCTAssertTrue(port.isHigh)
        XCTAssertNotEqual(port.read(Port.msr) & 0x0F, 0)
        XCTAssertEqual(port.read(Port.iir), 0xC1)
        XCTAssertFalse(port.isHigh)
    }

    func testIdentificationClearsOnlyWhatItNames() {
        let port = SerialHarness()
        port.start(interrupts: 0x03)
        XCTAssertEqual(port.port.receive([0x41]), 1)
        XCTAssertEqual(port.read(Port.iir), 0xCC)
        XCTAssertEqual(port.read(Port.rbr), 0x41)
        XCTAssertEqual(port.read(Port.iir), 0xC2, "the empty transmitter was not announced before")
    }
}
