@testable import Devices
@testable import TestSupport
import XCTest

/// Loopback, and the way Linux looks for a port and tests it.
///
/// Source of the sequences: Linux, autoconfig(), autoconfig_16550a(), size_fifo() and serial8250_do_startup() in
/// drivers/tty/serial/8250/8250_port.c.
final class Serial16550LoopbackTests: XCTestCase {
    private typealias Port = SerialHarness

    func testModemLinesLoop() {
        let port = SerialHarness()
        for outputs: UInt8 in 0...15 {
            port.write(Port.mcr, 0x10 | outputs)
            var expected: UInt8 = 0
            if outputs & 0x02 != 0 { expected |= 0x10 }
            if outputs & 0x01 != 0 { expected |= 0x20 }
            if outputs & 0x04 != 0 { expected |= 0x40 }
            if outputs & 0x08 != 0 { expected |= 0x80 }
            XCTAssertEqual(port.read(Port.msr) & 0xF0, expected)
        }
        port.write(Port.mcr, 0)
        XCTAssertEqual(port.read(Port.msr) & 0xF0, 0xB0)
    }

    func testChangesOfModemLines() {
        let port = SerialHarness()
        port.write(Port.mcr, 0x1F)
        XCTAssertEqual(port.read(Port.msr), 0xF0, "the ring's start is no change")
        port.write(Port.mcr, 0x1B)
        XCTAssertEqual(port.read(Port.msr), 0xB4, "its end is")
        port.write(Port.mcr, 0x10)
        XCTAssertEqual(port.read(Port.msr), 0x0B)
        XCTAssertEqual(port.read(Port.msr), 0x00)
    }

    func testBytesLoop() {
        let port = SerialHarness()
        port.write(Port.fcr, 0x01)
        port.write(Port.mcr, 0x10)
        port.write(Port.thr, 0x41)
        port.write(Port.thr, 0x42)
        XCTAssertEqual(port.read(Port.lsr), 0x61)
        XCTAssertEqual(port.read(Port.rbr), 0x41)
        XCTAssertEqual(port.read(Port.rbr), 0x42)
        XCTAssertEqual(port.read(Port.lsr), 0x60)
        XCTAssertEqual(port.transmitted, [])
    }

    func testOverrunOfTheFIFOKeepsTheOldBytes() {
        let port = SerialHarness()
        port.write(Port.fcr, 0x01)
        port.write(Port.mcr, 0x10)
        port.write(Port.ier, 0x04)
        for byte: UInt8 in 0..<17 { port.write(Port.thr, byte) }
        XCTAssertEqual(port.read(Port.iir), 0xC6)
        XCTAssertEqual(port.read(Port.lsr), 0x63, "an overrun is not an error of a byte in the FIFO")
        XCTAssertEqual((0..<16).map { _ in port.read(Port.rbr) }, Array(0..<16))
        XCTAssertEqual(port.read(Port.lsr), 0x60)
    }

    func testOverrunWithoutFIFOsKeepsTheNewByte() {
        let port = SerialHarness()
        port.write(Port.mcr, 0x10)
        port.write(Port.thr, 1)
        port.write(Port.thr, 2)
        XCTAssertEqual(port.read(Port.lsr), 0x63)
        XCTAssertEqual(port.read(Port.rbr), 2)
    }

    func testTheInterruptGateIsShut() {
        let port = SerialHarness()
        port.write(Port.ier, 0x02)
        port.write(Port.mcr, 0x18)
        XCTAssertEqual(port.levels, [])
        port.write(Port.mcr, 0x08)
        XCTAssertTrue(port.isHigh)
    }

    func testNothingComesInFromOutside() {
        let port = SerialHarness()
        port.start()
        port.write(Port.mcr, 0x1B)
        XCTAssertEqual(port.port.receive([0x41]), 0)
        port.write(Port.mcr, 0x0B)
        XCTAssertEqual(port.roomNotices, 1)
        XCTAssertEqual(port.port.receive([0x41]), 1)
    }

    func testLinuxFindsA16550A() {
        let port = SerialHarness()
        // Is anything there?
        let oldIER = port.read(Port.ier)
        port.write(Port.ier, 0)
        XCTAssertEqual(port.read(Port.ier) & 0x0F, 0)
        port.write(Port.ier, 0x0F)
        XCTAssertEqual(port.read(Port.ier) & 0x0F, 0x0F)
        port.write(Port.ier, oldIER)
        // Does it loop?
        let oldMCR = port.read(Port.mcr)
        port.write(Port.mcr, 0x1A)
        XCTAssertEqual(port.read(Port.msr) & 0xF0, 0x90)
        port.write(Port.mcr, oldMCR)
        // What FIFOs does it have?
        port.write(Port.lcr, 0xBF)
        port.write(Port.fcr, 0)
        port.write(Port.lcr, 0)
        port.write(Port.fcr, 0x01)
        XCTAssertEqual(port.read(Port.iir) >> 6, 3)
        // No extended features register under either key.
        port.write(Port.lcr, 0x80)
        XCTAssertNotEqual(port.read(Port.iir), 0)
        port.write(Port.lcr, 0xBF)
        XCTAssertNotEqual(port.read(Port.iir), 0)
        // No National Semiconductor bank 2: the loop bit does not show in what would be EXCR1.
        port.write(Port.lcr, 0)
        let mcr = port.read(Port.mcr)
        port.write(Port.mcr, mcr ^ 0x10)
        port.write(Port.lcr, 0xE0)
        XCTAssertEqual((port.read(Port.iir) ^ mcr) & 0x10, 0)
        port.write(Port.lcr, 0)
        port.write(Port.mcr, mcr)
        // No 64-byte FIFO, with and without DLAB.
        port.write(Port.fcr, 0x21)
        XCTAssertEqual(port.read(Port.iir) >> 5, 6)
        port.write(Port.fcr, 0x01)
        port.write(Port.lcr, 0x80)
        port.write(Port.fcr, 0x21)
        XCTAssertEqual(port.read(Port.iir) >> 5, 6)
        port.write(Port.fcr, 0x01)
        port.write(Port.lcr, 0)
        // No unit enable bit of the XScale.
        port.write(Port.ier, 0x40)
        XCTAssertEqual(port.read(Port.ier) & 0x40, 0)
        XCTAssertEqual(sizeOfFIFO(port), 16)
        XCTAssertEqual(port.transmitted, [])
        XCTAssertEqual(port.levels, [])
    }

    /// Linux's size_fifo(): how many of 256 bytes come back.
    private func sizeOfFIFO(_ port: SerialHarness) -> Int {
        let (fcr, mcr) = (UInt8(0x07), port.read(Port.mcr))
        port.write(Port.lcr, 0)
        port.write(Port.fcr, fcr)
        port.write(Port.mcr, 0x10)
        port.write(Port.lcr, 0x80)
        port.write(Port.dll, 1)
        port.write(Port.dlm, 0)
        port.write(Port.lcr, 0x03)
        for count in 0..<256 { port.write(Port.thr, UInt8(count)) }
        var count = 0
        while port.read(Port.lsr) & 0x01 != 0, count < 256 {
            _ = port.read(Port.rbr)
            count += 1
        }
        port.write(Port.fcr, fcr)
        port.write(Port.mcr, mcr)
        port.write(Port.lcr, 0)
        return count
    }

    func testLinuxFindsNoBugs() {
        let port = SerialHarness()
        XCTAssertNotEqual(port.read(Port.lsr), 0xFF)
        // UART_BUG_THRE: the interrupt comes again when it is enabled again.
        port.write(Port.ier, 0x02)
        XCTAssertEqual(port.read(Port.iir) & 0x01, 0)
        port.write(Port.ier, 0)
        port.write(Port.ier, 0x02)
        XCTAssertEqual(port.read(Port.iir) & 0x01, 0)
        port.write(Port.ier, 0)
        // UART_BUG_TXEN: it comes with the transmitter empty.
        port.write(Port.lcr, 0x03)
        port.write(Port.mcr, 0x08)
        port.write(Port.ier, 0x02)
        XCTAssertEqual(port.read(Port.lsr) & 0x40, 0x40)
        XCTAssertEqual(port.read(Port.iir) & 0x01, 0)
        port.write(Port.ier, 0)
        XCTAssertFalse(port.isHigh)
    }
}
