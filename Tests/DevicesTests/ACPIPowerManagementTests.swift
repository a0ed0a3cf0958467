@testable import Devices
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

@testable import MiniVMM

final class ACPIPowerManagementTests: XCTestCase {
    /// The device's surroundings.
    private final class Machine: Sendable {
        struct Record {
            var nanoseconds: UInt64 = 0
            var levels: [Bool] = []
            var powerOffs = 0
        }
        let record = Locked(Record())
        var levels: [Bool] { record.withLock { $0.levels } }
        var powerOffs: Int { record.withLock { $0.powerOffs } }

        func set(nanoseconds: UInt64) {
            record.withLock { $0.nanoseconds = nanoseconds }
        }
    }

    private let machine = Machine()

    private func makeDevice() -> ACPIPowerManagement {
        ACPIPowerManagement(
            interrupt: { [machine] level in machine.record.withLock { $0.levels.append(level) } },
            powerOff: { [machine] in machine.record.withLock { $0.powerOffs += 1 } },
            now: { [machine] in machine.record.withLock { $0.nanoseconds } }
        )
    }

    func testRegistersAfterPowerOn() {
        let device = makeDevice()
        XCTAssertEqual(device.readPort(0, width: .word), 0)
        XCTAssertEqual(device.readPort(2, width: .word), 0)
        XCTAssertEqual(device.readPort(4, width: .word), 0x0001, "ACPI mode")
        XCTAssertEqual(device.readPort(6, width: .word), 0)
    }

    func testTimer() {
        let device = makeDevice()
        XCTAssertEqual(device.readPort(8, width: .long), 0)
        machine.set(nanoseconds: 1_000_000_000)
        XCTAssertEqual(device.readPort(8, width: .long), 3_579_545)
        machine.set(nanoseconds: 3_600_000_000_000)
        XCTAssertEqual(device.readPort(8, width: .long), UInt32(truncatingIfNeeded: 3_579_545 * 3_600 as UInt64))
        machine.set(nanoseconds: .max)
        XCTAssertEqual(device.readPort(8, width: .long), UInt32(truncatingIfNeeded: 66_030_950_515_326_656 as UInt64))
        device.writePort(8, width: .long, value: 0)
        XCTAssertNotEqual(device.readPort(8, width: .long), 0, "the timer cannot be written")
    }

    /// ACPICA's acpi_hw_legacy_sleep(): the sleep type first, then the same with SLP_EN.
    func testPowerOff() {
        let device = makeDevice()
        let type = UInt32(ACPIPowerManagement.softOffSleepType) << 10
        device.writePort(4, width: .word, value: type | 1)
        XCTAssertEqual(machine.powerOffs, 0)
        XCTAssertEqual(device.readPort(4, width: .word), type | 1)
        device.writePort(4, width: .word, value: type | 0x2001)
        XCTAssertEqual(machine.powerOffs, 1)
        XCTAssertEqual(device.readPort(4, width: .word) & 0x2000, 0, "SLP_EN reads as 0")
    }

    func testOtherSleepTypesDoNothing() {
        let device = makeDevice()
        for type: UInt32 in 0..<8 where type != UInt32(ACPIPowerManagement.softOffSleepType) {
            device.writePort(4, width: .word, value: type << 10 | 0x2000)
        }
        XCTAssertEqual(machine.powerOffs, 0)
    }

    func testPowerOffByOneByte() {
        let device = makeDevice()
        device.writePort(5, width: .byte, value: 0x34)
        XCTAssertEqual(machine.powerOffs, 1)
    }

    func testPowerButton() {
        let device = makeDevice()
        XCTAssertFalse(device.pressPowerButton(), "the guest does not listen")
        XCTAssertEqual(machine.levels, [])
        XCTAssertEqual(device.readPort(0, width: .word), 0x0100)
        device.writePort(2, width: .word, value: 0xFFFF)
        XCTAssertEqual(device.readPort(2, width: .word), 0x0720)
        XCTAssertEqual(machine.levels, [true])
        device.writePort(0, width: .word, value: 0x0020)
        XCTAssertEqual(machine.levels, [true], "another bit")
        device.writePort(0, width: .word, value: 0x0100)
        XCTAssertEqual(machine.levels, [true, false])
        XCTAssertTrue(device.pressPowerButton())
        XCTAssertEqual(machine.levels, [true, false, true])
    }

    func testEveryWidthAndAlignment() {
        let device = makeDevice()
        machine.set(nanoseconds: 0x1_2345_6789_ABCD)
        device.writePort(0, width: .long, value: 0x0720_0000)
        var bytes: [UInt32] = []
        for offset: UInt16 in 0..<12 { bytes.append(device.readPort(offset, width: .byte)) }
        XCTAssertEqual(Array(bytes[..<8]), [0, 0, 0x20, 0x07, 0x01, 0, 0, 0])
        let timer = device.readPort(8, width: .long)
        XCTAssertEqual(bytes[8] | bytes[9] << 8 | bytes[10] << 16 | bytes[11] << 24, timer)
        XCTAssertEqual(device.readPort(1, width: .long), 0x0107_2000)
        XCTAssertEqual(device.readPort(11, width: .long), timer >> 24, "past the end there are zeros")
    }
}
