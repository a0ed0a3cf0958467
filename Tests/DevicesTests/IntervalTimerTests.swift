@testable import Devices
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// The 8254 and port 0x61, by their data sheets.
final class IntervalTimerTests: XCTestCase {
    /// A clock that a test moves.
    private final class Clock: Sendable {
        private let value = Atomic<UInt64>(1_000_000_000)
        var now: UInt64 { value.load(ordering: .relaxed) }
        func advance(ticks: UInt64) {
            // Rounded up, so that a whole tick has passed.
            value.add((ticks * 1_000_000_000 + 1_193_181) / 1_193_182, ordering: .relaxed)
        }
    }

    private let clock = Clock()

    private func makeTimer() -> IntervalTimer { IntervalTimer { [clock] in clock.now } }

    private func write(_ timer: IntervalTimer, _ port: UInt16, _ values: UInt8...) {
        for value in values { timer.counters.writePort(port - 0x40, width: .byte, value: UInt32(value)) }
    }

    private func read(_ timer: IntervalTimer, _ port: UInt16) -> UInt8 {
        UInt8(truncatingIfNeeded: timer.counters.readPort(port - 0x40, width: .byte))
    }

    /// A counter's count, low byte first.
    private func count(_ timer: IntervalTimer, _ port: UInt16) -> UInt16 {
        UInt16(read(timer, port)) | UInt16(read(timer, port)) << 8
    }

    private func control(_ timer: IntervalTimer) -> UInt8 {
        UInt8(truncatingIfNeeded: timer.control.readPort(0, width: .byte))
    }

    func testAsABIOSLeavesIt() {
        let timer = makeTimer()
        XCTAssertEqual(count(timer, 0x40), 0)
        clock.advance(ticks: 10)
        XCTAssertEqual(count(timer, 0x40), 65_516, "a square wave counts by two")
        // Read back the status of all: output, mode and access.
        write(timer, 0x43, 0xee)
        XCTAssertEqual([read(timer, 0x40), read(timer, 0x41), read(timer, 0x42)], [0xb6, 0xb4, 0xb6])
    }

    func testALatchHoldsTheCountUntilItWasRead() {
        let timer = makeTimer()
        write(timer, 0x43, 0x34)
        write(timer, 0x40, 0x00, 0x10)
        clock.advance(ticks: 0x100)
        write(timer, 0x43, 0x00)
        clock.advance(ticks: 0x100)
        write(timer, 0x43, 0x00)
        XCTAssertEqual(count(timer, 0x40), 0x0f00, "the second latch comes too early")
        XCTAssertEqual(count(timer, 0x40), 0x0e00)
        clock.advance(ticks: 0xe00)
        XCTAssertEqual(count(timer, 0x40), 0x1000, "and over again")
    }

    func testOneByteAlone() {
        let timer = makeTimer()
        write(timer, 0x43, 0x14)
        write(timer, 0x40, 0x80)
        clock.advance(ticks: 1)
        XCTAssertEqual(read(timer, 0x40), 0x7f)
        write(timer, 0x43, 0x24)
        write(timer, 0x40, 0x80)
        XCTAssertEqual(read(timer, 0x40), 0x80)
    }

    /// How boot loaders and kernels measure 50 ms by counter 2.
    func testCounter2CountsDownWhileItsGateIsOpen() {
        let timer = makeTimer()
        timer.control.writePort(0, width: .byte, value: 0x01)
        write(timer, 0x43, 0xb0)
        XCTAssertEqual(control(timer) & 0x20, 0, "no count yet")
        write(timer, 0x42, 0x00, 0x01)
        clock.advance(ticks: 255)
        XCTAssertEqual(control(timer) & 0x23, 0x01)
        timer.control.writePort(0, width: .byte, value: 0x00)
        clock.advance(ticks: 1_000)
        XCTAssertEqual(control(timer) & 0x21, 0x00, "the gate holds it")
        timer.control.writePort(0, width: .byte, value: 0x01)
        clock.advance(ticks: 1)
        XCTAssertEqual(control(timer) & 0x21, 0x21)
        XCTAssertEqual(count(timer, 0x42), 0)
    }

    func testASquareWaveIsHighForHalfOfItsPeriod() {
        let timer = makeTimer()
        write(timer, 0x43, 0xb6)
        write(timer, 0x42, 100, 0)
        timer.control.writePort(0, width: .byte, value: 0x03)
        XCTAssertEqual(control(timer) & 0x23, 0x23)
        clock.advance(ticks: 50)
        XCTAssertEqual(control(timer) & 0x23, 0x03)
        clock.advance(ticks: 50)
        XCTAssertEqual(control(timer) & 0x23, 0x23)
    }

    func testTheRefreshBitChanges() {
        let timer = makeTimer()
        let first = control(timer) & 0x10
        clock.advance(ticks: 18)
        XCTAssertNotEqual(control(timer) & 0x10, first)
    }
}

/// The registers of an 8259A.
final class InterruptControllerTests: XCTestCase {
    private func write(_ device: InterruptControllerRegisters, _ port: UInt16, _ value: UInt8) {
        device.writePort(port, width: .byte, value: UInt32(value))
    }

    func testTheMaskIsKept() {
        let device = InterruptControllerRegisters(mask: 0xB8)
        XCTAssertEqual(device.readPort(1, width: .byte), 0xB8)
        write(device, 1, 0xFF)
        XCTAssertEqual(device.readPort(1, width: .byte), 0xFF)
        write(device, 0, 0x20)
        write(device, 0, 0x0B)
        XCTAssertEqual(device.readPort(0, width: .byte), 0, "nothing is in service")
    }

    func testInitializationWordsAreNoMasks() {
        for (first, words) in [(UInt8(0x11), 3), (0x10, 2), (0x13, 2), (0x12, 1)] {
            let device = InterruptControllerRegisters(mask: 0xB8)
            write(device, 0, first)
            for word in 0..<words { write(device, 1, UInt8(0x20 + word)) }
            XCTAssertEqual(device.readPort(1, width: .byte), 0, "\(first): initialization clears the mask")
            write(device, 1, 0xFB)
            XCTAssertEqual(device.readPort(1, width: .byte), 0xFB)
        }
    }
}
