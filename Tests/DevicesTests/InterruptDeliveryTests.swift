@testable import Devices
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

/// The 8259A: what is delivered when, and what a guest reads of it.
final class InterruptDeliveryTests: XCTestCase {
    private func controller(mask: UInt8 = 0) -> InterruptControllerRegisters {
        InterruptControllerRegisters(mask: mask)
    }

    private func write(_ controller: InterruptControllerRegisters, _ offset: UInt16, _ bytes: UInt8...) {
        for byte in bytes { controller.writePort(offset, width: .byte, value: UInt32(byte)) }
    }

    func testTheLowestLineComesFirst() {
        let controller = controller()
        XCTAssertNil(controller.acknowledge())
        controller.raise(5)
        controller.raise(1)
        XCTAssertTrue(controller.isPending)
        XCTAssertEqual(controller.readPort(0, width: .byte), 0x22)
        XCTAssertEqual(controller.acknowledge(), 9)
        // While line 1 is handled, line 5 waits and line 0 does not.
        XCTAssertFalse(controller.isPending)
        XCTAssertTrue(controller.admits(0))
        XCTAssertFalse(controller.admits(1))
        controller.raise(0)
        XCTAssertEqual(controller.acknowledge(), 8)
        write(controller, 0, 0x0b)
        XCTAssertEqual(controller.readPort(0, width: .byte), 3)
        // Of two, the lower ends; then a certain one.
        write(controller, 0, 0x20)
        XCTAssertEqual(controller.readPort(0, width: .byte), 2)
        write(controller, 0, 0x61)
        XCTAssertEqual(controller.readPort(0, width: .byte), 0)
        XCTAssertEqual(controller.acknowledge(), 13)
        write(controller, 0, 0x0a)
        XCTAssertEqual(controller.readPort(0, width: .byte), 0)
    }

    func testMasks() {
        let controller = controller(mask: 1)
        controller.raise(0)
        XCTAssertFalse(controller.isPending)
        XCTAssertFalse(controller.admits(0))
        write(controller, 1, 0xfe)
        XCTAssertEqual(controller.acknowledge(), 8)
        XCTAssertEqual(controller.readPort(1, width: .byte), 0xfe)
    }

    func testInitialization() {
        let controller = controller(mask: 0xff)
        controller.raise(3)
        // ICW1 with ICW4; the vector's lowest bits are the line's; a slave; ICW4 with an end by itself.
        write(controller, 0, 0x11)
        write(controller, 1, 0x27, 4, 3)
        XCTAssertEqual(controller.readPort(1, width: .byte), 0)
        XCTAssertFalse(controller.isPending, "what was requested before is not any more")
        controller.raise(0)
        XCTAssertEqual(controller.acknowledge(), 0x20)
        XCTAssertTrue(controller.admits(0))
        // A single controller without ICW4 has no third word.
        write(controller, 0, 0x12)
        write(controller, 1, 0x40, 0xaa)
        XCTAssertEqual(controller.readPort(1, width: .byte), 0xaa)
        XCTAssertEqual(controller.vector(of: 7), 0x47)
    }

    func testTheSwitchTurnsOnce() {
        let turns = Locked(0)
        let changes = Locked(0)
        let ticks = TickSwitch()
        ticks.connect(
            whenTurnedOn: { turns.withLock { $0 += 1 } }, whenChanged: { changes.withLock { $0 += 1 } })
        XCTAssertFalse(ticks.isOn)
        ticks.change()
        ticks.turnOn()
        XCTAssertTrue(ticks.isOn)
        XCTAssertEqual(turns.withLock { $0 }, 1)
        XCTAssertEqual(changes.withLock { $0 }, 1)
        // The timer, set anew.
        ticks.change()
        XCTAssertEqual(turns.withLock { $0 }, 1)
        XCTAssertEqual(changes.withLock { $0 }, 2)
    }

    func testWhenTheTimerRises() {
        let now = Locked<UInt64>(1_000_000)
        let used = Locked(0)
        let timer = IntervalTimer(now: { now.withLock { $0 } }, onUse: { used.withLock { $0 += 1 } })
        // 65,536 ticks are 54,925,401 ns.
        XCTAssertEqual(timer.nextInterrupt(after: 1_000_000), 1_000_000 + 54_925_402)
        XCTAssertEqual(timer.nextInterrupt(after: 60_000_000), 1_000_000 + 109_850_803)
        func write(_ port: UInt16, _ byte: UInt32) { timer.counters.writePort(port, width: .byte, value: byte) }
        // Mode 2, 1193 ticks: 999,847 ns.
        now.withLock { $0 = 2_000_000 }
        write(3, 0x34)
        XCTAssertNil(timer.nextInterrupt(after: 2_000_000), "no count yet")
        write(0, 0xa9)
        write(0, 0x04)
        XCTAssertEqual(timer.nextInterrupt(after: 0), 2_999_848)
        XCTAssertEqual(timer.nextInterrupt(after: 2_999_848), 3_999_695)
        // Mode 0: once.
        write(3, 0x30)
        write(0, 0xa9)
        write(0, 0x04)
        XCTAssertEqual(timer.nextInterrupt(after: 2_000_000), 2_999_848)
        XCTAssertNil(timer.nextInterrupt(after: 2_999_848))
        XCTAssertEqual(used.withLock { $0 }, 4, "counts, byte by byte; a latch and other counters are none")
        write(3, 0x00)
        write(2, 1)
        XCTAssertEqual(used.withLock { $0 }, 4)
    }
}
