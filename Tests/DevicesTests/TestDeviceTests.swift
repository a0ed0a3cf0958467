@testable import Devices
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

/// The devices that test programs look for, on a bus as a machine has them.
final class TestDeviceTests: XCTestCase {
    private func bus(_ components: [any Component], memorySize: UInt64 = 1 << 20) throws -> (PortBus, MMIOBus) {
        var attachments = try Attachments.forTests(memorySize: memorySize)
        for component in components { try component.attach(to: &attachments) }
        return (try PortBus(attachments.portAttachments), try MMIOBus(attachments.mmioAttachments))
    }

    private func item(_ key: UInt32, _ count: Int, _ bus: PortBus) -> [UInt32?] {
        XCTAssertTrue(bus.write(0x510, .word, key))
        return (0..<count).map { _ in bus.read(0x511, .byte) }
    }

    func testFirmwareConfiguration() throws {
        let (bus, _) = try bus([FirmwareConfiguration()], memorySize: 0x12_3000)
        XCTAssertEqual(item(0, 5, bus), [0x51, 0x45, 0x4d, 0x55, 0])
        XCTAssertEqual(item(1, 4, bus), [1, 0, 0, 0])
        XCTAssertEqual(item(3, 9, bus), [0, 0x30, 0x12, 0, 0, 0, 0, 0, 0])
        XCTAssertEqual(item(5, 3, bus), [1, 0, 0])
        XCTAssertEqual(item(15, 2, bus), [1, 0])
        // None: the largest address that a guest shall use, of which there is no item; a file; a key that is none.
        for key: UInt32 in [0x11, 0x20, 0x8000, 0xffff] { XCTAssertEqual(item(key, 2, bus), [0, 0], "\(key)") }
        // A byte chooses nothing, and a word is no two bytes.
        _ = item(5, 0, bus)
        XCTAssertTrue(bus.write(0x510, .byte, 3))
        XCTAssertEqual(bus.read(0x510, .word), 0xffff)
        XCTAssertEqual(bus.read(0x511, .byte), 1)
        // Items cannot be written.
        XCTAssertTrue(bus.write(0x511, .byte, 9))
        XCTAssertEqual(item(5, 1, bus), [1])
    }

    func testLatch() throws {
        let (bus, _) = try bus([TestDevice()])
        XCTAssertTrue(bus.write(0xe0, .long, 0x8765_4321))
        XCTAssertEqual(bus.read(0xe0, .long), 0x8765_4321)
        XCTAssertTrue(bus.write(0xe1, .byte, 0xff))
        XCTAssertTrue(bus.write(0xe2, .word, 0xabcd))
        XCTAssertEqual(bus.read(0xe0, .long), 0xabcd_ff21)
        XCTAssertEqual(bus.read(0xe3, .byte), 0xab)
        XCTAssertEqual(bus.read(0xe1, .word), 0xcdff)
    }

    func testInterruptLines() throws {
        let log = Locked<[(UInt32, Bool)]>([])
        let device = InterruptLinePorts { line, isHigh in log.withLock { $0.append((line, isHigh)) } }
        let bus = try PortBus([PortAttachment(device, named: "lines", at: TestDevice.lines)])
        for (port, value) in [(UInt16(0x200e), UInt32(1)), (0x200e, 0), (0x2017, 0x80), (0x2000, 0)] {
            XCTAssertTrue(bus.write(port, .byte, value))
        }
        XCTAssertEqual(log.withLock { $0.map(\.0) }, [14, 14, 23, 0])
        XCTAssertEqual(log.withLock { $0.map(\.1) }, [true, false, true, false])
        XCTAssertFalse(bus.write(0x2018, .byte, 1))
        for port: UInt16 in [0x2000, 0x200e, 0x2017] { XCTAssertEqual(bus.read(port, .byte), 0) }
    }

    func testMemoryThatExits() throws {
        let (_, bus) = try bus([TestDevice()])
        let start = TestDevice.memory.start
        XCTAssertTrue(bus.write(start &+ 3, .quad, 0x1122_3344_5566_7788))
        XCTAssertEqual(bus.read(start, .quad), 0x4455_6677_8800_0000)
        XCTAssertEqual(bus.read(start &+ 4, .word), 0x6677)
        // An access may reach past the end.
        XCTAssertTrue(bus.write(start &+ 0xfffe, .long, 0xaabb_ccdd))
        XCTAssertEqual(bus.read(start &+ 0xfffe, .long), 0xccdd)
        XCTAssertNil(bus.read(start &+ 0x1_0000, .byte))
    }

    /// What a page holds is there afterwards; where there is none, nothing happens.
    func testPageFlush() throws {
        var attachments = try Attachments.forTests(memorySize: 0x3000)
        try TestDevice().attach(to: &attachments)
        let bus = try PortBus(attachments.portAttachments)
        let memory = attachments.machine.memory
        try memory.write([UInt8](repeating: 0x5a, count: 0x3000), at: GuestPhysicalAddress(0))
        for address: UInt32 in [0, 0x1fff, 0x2000, 0x3000, .max] { XCTAssertTrue(bus.write(0xe4, .long, address)) }
        XCTAssertEqual(bus.read(0xe4, .long), 0)
        try memory.write([1], at: GuestPhysicalAddress(0x1fff))
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x1ffe), count: 3), [0x5a, 1, 0x5a])
    }
}
