@testable import Devices
@testable import Host
@testable import KVM
@testable import Memory
@testable import TestSupport
import XCTest

/// The devices of one port each, on a bus as a machine has them.
final class SmallPortTests: XCTestCase {
    private final class Log: Sendable {
        private let bytes = Locked<[UInt8]>([])
        var all: [UInt8] { bytes.withLock { $0 } }
        func add(_ byte: UInt8) { bytes.withLock { $0.append(byte) } }
    }

    func testPostCodePort() throws {
        let device = PostCodePort()
        let bus = try PortBus([PortAttachment(device, named: "post", at: DebugPorts.postCode...DebugPorts.postCode)])
        XCTAssertEqual(bus.read(0x80, .byte), 0)
        XCTAssertTrue(bus.write(0x80, .byte, 0x42))
        XCTAssertEqual(bus.read(0x80, .byte), 0x42)
        XCTAssertEqual(device.lastCode, 0x42)
    }

    func testDebugConsole() throws {
        let log = Log()
        let device = DebugConsole(transmit: log.add)
        let bus = try PortBus([PortAttachment(device, named: "debug", at: DebugPorts.console...DebugPorts.console)])
        XCTAssertEqual(bus.read(0xE9, .byte), 0xE9)
        XCTAssertTrue(bus.write(0xE9, .byte, 0x41))
        XCTAssertTrue(bus.write(0xE9, .word, 0x4342))
        XCTAssertEqual(log.all, [0x41, 0x42], "the second byte goes to the next port, where nobody is")
    }

    func testExitPort() throws {
        let log = Log()
        let device = ExitPort(exit: log.add)
        let bus = try PortBus([PortAttachment(device, named: "exit", at: DebugPorts.exit...DebugPorts.exit)])
        XCTAssertEqual(bus.read(0xF4, .byte), 0)
        XCTAssertEqual(bus.read(0xF4, .long), 0)
        XCTAssertTrue(bus.write(0xF4, .byte, 7))
        XCTAssertTrue(bus.write(0xF4, .long, 0x1234_5608))
        XCTAssertEqual(log.all, [7, 8], "one call for each write")
    }

    func testResetControlRegister() throws {
        let log = Log()
        let device = ResetControl.register { log.add(1) }
        let bus = try PortBus([PortAttachment(device, named: "reset", at: ResetControl.port...ResetControl.port)])
        // As Linux resets by it (BOOT_CF9_FORCE in arch/x86/kernel/reboot.c), and then as it does by ACPI.
        XCTAssertEqual(bus.read(0xCF9, .byte), 0)
        XCTAssertTrue(bus.write(0xCF9, .byte, 0x02))
        XCTAssertEqual(log.all.count, 0)
        XCTAssertTrue(bus.write(0xCF9, .byte, 0x06))
        XCTAssertEqual(log.all.count, 1)
        XCTAssertTrue(bus.write(0xCF9, .byte, UInt32(ResetControl.hardReset)))
        XCTAssertEqual(log.all.count, 1, "only a rise resets")
        XCTAssertTrue(bus.write(0xCF9, .byte, 0xF1))
        XCTAssertEqual(bus.read(0xCF9, .byte), 0)
        XCTAssertTrue(bus.write(0xCF9, .byte, 0x0E))
        XCTAssertEqual(log.all.count, 2)
    }

    func testSystemControlPort() throws {
        let log = Log()
        let device = SystemControl.register { log.add(1) }
        let bus = try PortBus([PortAttachment(device, named: "system", at: SystemControl.port...SystemControl.port)])
        XCTAssertEqual(bus.read(0x92, .byte), 0x02, "the A20 gate is open")
        // As boot sectors open it: set bit 1, and leave bit 0 alone.
        XCTAssertTrue(bus.write(0x92, .byte, 0x02))
        XCTAssertTrue(bus.write(0x92, .byte, 0x00))
        XCTAssertEqual(bus.read(0x92, .byte), 0x02, "and stays open")
        XCTAssertEqual(log.all.count, 0)
        XCTAssertTrue(bus.write(0x92, .byte, 0x03))
        XCTAssertEqual(log.all.count, 1)
        XCTAssertTrue(bus.write(0x92, .byte, 0x01))
        XCTAssertEqual(log.all.count, 1, "only a rise resets")
    }

    func testVideoPorts() throws {
        let time = Locked<UInt64>(0)
        let video = VideoPorts { time.withLock { $0 } }
        let (registers, status) = (VideoRegisters.registerPorts, VideoRegisters.statusPort)
        let bus = try PortBus([
            PortAttachment(video.registers, named: "CRT controller", at: registers),
            PortAttachment(video.status, named: "video status", at: status...status),
        ])
        // Index and data in one access, as is usual.
        XCTAssertTrue(bus.write(0x3D4, .word, 0x500F))
        XCTAssertEqual(bus.read(0x3D5, .byte), 0x50)
        XCTAssertTrue(bus.write(0x3D4, .byte, 0x0A))
        XCTAssertEqual(bus.read(0x3D4, .word), 0x060A)
        XCTAssertTrue(bus.write(0x3D4, .word, 0xFFFF))
        XCTAssertEqual(bus.read(0x3D5, .byte), 0, "there is no such register")
        XCTAssertEqual(bus.read(0x3DA, .byte), 0)
        time.withLock { $0 = 31_000 }
        XCTAssertEqual(bus.read(0x3DA, .byte), 0x01, "between two lines")
        time.withLock { $0 = 14_000_000 }
        XCTAssertEqual(bus.read(0x3DA, .byte), 0x09, "between two frames")
        time.withLock { $0 = 449 * 31_778 + 10 }
        XCTAssertEqual(bus.read(0x3DA, .byte), 0)
    }

    func testPanicDevice() throws {
        let log = Log()
        let device = PanicDevice { log.add(1) }
        let port = PanicNotifier.port
        let bus = try PortBus([PortAttachment(device, named: "pvpanic", at: port...port)])
        XCTAssertEqual(bus.read(0x505, .byte), 0x03)
        XCTAssertTrue(bus.write(0x505, .byte, 0x02))
        XCTAssertEqual(log.all.count, 0, "a crash kernel goes on")
        XCTAssertTrue(bus.write(0x505, .byte, 0x01))
        XCTAssertEqual(log.all.count, 1)
    }

    func testResetControlRegisterIsAlone() throws {
        let device = ResetControl.register {}
        let bus = try PortBus([PortAttachment(device, named: "reset", at: ResetControl.port...ResetControl.port)])
        XCTAssertNil(bus.read(0xCF8, .long), "PCI's configuration address, which covers it, is nobody's")
        XCTAssertFalse(bus.write(0xCF8, .long, 0x8000_0000))
    }

    func testAllDevicesFitOnOneBus() throws {
        let keyboard = KeyboardController {}
        let serial = Serial16550(interrupt: { _ in }, transmit: { _ in })
        let power = ACPIPowerManagement(interrupt: { _ in }, powerOff: {})
        let (data, command) = (Keyboard.dataPort, Keyboard.commandPort)
        let bus = try PortBus([
            PortAttachment(keyboard.data, named: "keyboard", at: data...data),
            PortAttachment(keyboard.command, named: "keyboard", at: command...command),
            PortAttachment(CMOSClock(memoryBelow4GiB: 1 << 20), named: "clock", at: RealTimeClock.ports),
            PortAttachment(PostCodePort(), named: "post", at: DebugPorts.postCode...DebugPorts.postCode),
            PortAttachment(DebugConsole { _ in }, named: "debug", at: DebugPorts.console...DebugPorts.console),
            PortAttachment(ExitPort { _ in }, named: "exit", at: DebugPorts.exit...DebugPorts.exit),
            PortAttachment(serial, named: "serial", at: SerialPort.ports),
            PortAttachment(power, named: "power", at: PowerManagement.ports),
            PortAttachment(ResetControl.register {}, named: "reset", at: ResetControl.port...ResetControl.port),
        ])
        XCTAssertEqual(bus.read(0x64, .byte), 0x14)
        XCTAssertNil(bus.read(0x61, .byte), "port 0x61 is KVM's")
        XCTAssertEqual(bus.read(0x3FD, .byte), 0x60)
        XCTAssertEqual(bus.read(0x604, .word), 0x0001)
    }
}
