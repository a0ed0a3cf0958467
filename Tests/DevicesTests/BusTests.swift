import Memory
@testable import TestSupport
import XCTest

@testable import Devices

/// The ports of a machine, at the edges of devices and of the 64 KiB of ports.
final class PortBusTests: XCTestCase {
    private let log = ProbeLog()
    private static let widths: [AccessWidth] = [.byte, .word, .long]

    /// A device on the bus, whose bytes read as `first` and on.
    private func device<Width: ProbeWidth>(
        _ name: String, _ width: Width.Type, at ports: ClosedRange<UInt16>, first: UInt8 = 0
    ) -> PortAttachment {
        PortAttachment(BusProbe<Width>(name, first: first, log: log), named: name, at: ports)
    }

    private func read(_ device: String, _ offset: UInt64, _ width: AccessWidth) -> ProbedAccess {
        ProbedAccess(device: device, offset: offset, width: width)
    }

    private func write(_ device: String, _ offset: UInt64, _ width: AccessWidth, _ value: UInt64) -> ProbedAccess {
        ProbedAccess(device: device, offset: offset, width: width, value: value)
    }

    func testNobody() throws {
        let empty = try PortBus([])
        let other = try PortBus([device("a", ByteWide.self, at: 0x100...0x103)])
        for width in Self.widths {
            for port: UInt16 in [0, 1, 0xff, 0x104, 0xfffe, 0xffff] {
                XCTAssertNil(empty.read(port, width))
                XCTAssertFalse(empty.write(port, width, 0))
                XCTAssertNil(other.read(port, width), "port \(port)")
                XCTAssertFalse(other.write(port, width, 0), "port \(port)")
            }
        }
        XCTAssertEqual(log.take(), [], "an access that starts before a device is nobody's")
    }

    func testFirstAndLastPort() throws {
        let bus = try PortBus([device("a", ByteWide.self, at: 0x100...0x103)])
        XCTAssertEqual(bus.read(0x100, .byte), 0)
        XCTAssertEqual(bus.read(0x103, .byte), 3)
        XCTAssertTrue(bus.write(0x103, .byte, 0x5a))
        XCTAssertEqual(log.take(), [read("a", 0, .byte), read("a", 3, .byte), write("a", 3, .byte, 0x5a)])
        let all = try PortBus([device("a", LongWide.self, at: 0...0xffff)])
        for port: UInt16 in [0, 0x8000, 0xffff] {
            XCTAssertTrue(all.write(port, .long, 1))
            XCTAssertEqual(log.take(), [write("a", UInt64(port), .long, 1)])
        }
    }

    /// As wide as the device has it, at consecutive ports, the low bytes first.
    func testWiderThanTheDevice() throws {
        let bus = try PortBus([
            device("b", ByteWide.self, at: 0x10...0x17, first: 0x40),
            device("w", WordWide.self, at: 0x20...0x27, first: 0x80),
        ])
        XCTAssertEqual(bus.read(0x11, .word), 0x4241)
        XCTAssertEqual(log.take(), [read("b", 1, .byte), read("b", 2, .byte)])
        XCTAssertEqual(bus.read(0x14, .long), 0x4746_4544)
        XCTAssertEqual(log.take(), (4...7).map { read("b", $0, .byte) })
        XCTAssertEqual(bus.read(0x21, .long), 0x8483_8281)
        XCTAssertEqual(log.take(), [read("w", 1, .word), read("w", 3, .word)])
        XCTAssertTrue(bus.write(0x10, .long, 0x8877_6655))
        XCTAssertEqual(
            log.take(),
            [
                write("b", 0, .byte, 0x55), write("b", 1, .byte, 0x66), write("b", 2, .byte, 0x77),
                write("b", 3, .byte, 0x88),
            ])
        XCTAssertTrue(bus.write(0x20, .long, 0x8877_6655))
        XCTAssertEqual(log.take(), [write("w", 0, .word, 0x6655), write("w", 2, .word, 0x8877)])
    }

    /// A device that is wide enough is asked once, even past its last port: the first port decides.
    func testAsWideAsTheDevice() throws {
        let bus = try PortBus([
            device("l", LongWide.self, at: 0x10...0x11), device("b", ByteWide.self, at: 0x12...0x13),
        ])
        for (width, value) in zip(Self.widths, [0x01, 0x0201, 0x0403_0201] as [UInt32]) {
            XCTAssertEqual(bus.read(0x11, width), value)
            XCTAssertTrue(bus.write(0x11, width, value))
            XCTAssertEqual(log.take(), [read("l", 1, width), write("l", 1, width, UInt64(value))])
        }
    }

    /// Ports that nobody has read as all ones, and what is written there is dropped.
    func testPastTheDevice() throws {
        let bus = try PortBus([
            device("b", ByteWide.self, at: 0x10...0x11, first: 0x40), device("w", WordWide.self, at: 0x20...0x21),
        ])
        XCTAssertEqual(bus.read(0x11, .word), 0xff41)
        XCTAssertEqual(bus.read(0x10, .long), 0xffff_4140)
        XCTAssertEqual(bus.read(0x11, .long), 0xffff_ff41)
        XCTAssertEqual(bus.read(0x20, .long), 0xffff_0100)
        _ = log.take()
        XCTAssertTrue(bus.write(0x11, .long, 0x8877_6655))
        XCTAssertTrue(bus.write(0x20, .long, 0x8877_6655))
        XCTAssertEqual(log.take(), [write("b", 1, .byte, 0x55), write("w", 0, .word, 0x6655)])
    }

    /// Each part is the business of the device in which it starts, which may split it again.
    func testFromOneDeviceIntoAnother() throws {
        let bus = try PortBus([
            device("b", ByteWide.self, at: 0x10...0x10, first: 0x40),
            device("l", LongWide.self, at: 0x11...0x12, first: 0x80),
            device("w", WordWide.self, at: 0x20...0x21, first: 0xc0),
            device("c", ByteWide.self, at: 0x22...0x22, first: 0xe0),
        ])
        XCTAssertEqual(bus.read(0x10, .long), 0xff81_8040)
        XCTAssertEqual(log.take(), [read("b", 0, .byte), read("l", 0, .byte), read("l", 1, .byte)])
        XCTAssertEqual(bus.read(0x20, .long), 0xffe0_c1c0)
        XCTAssertEqual(log.take(), [read("w", 0, .word), read("c", 0, .byte)])
        XCTAssertTrue(bus.write(0x10, .long, 0x8877_6655))
        XCTAssertTrue(bus.write(0x20, .long, 0x8877_6655))
        XCTAssertEqual(
            log.take(),
            [
                write("b", 0, .byte, 0x55), write("l", 0, .byte, 0x66), write("l", 1, .byte, 0x77),
                write("w", 0, .word, 0x6655), write("c", 0, .byte, 0x77),
            ])
    }

    /// After port 0xFFFF comes port 0.
    func testPastTheLastPort() throws {
        let bus = try PortBus([
            device("z", ByteWide.self, at: 0...1, first: 0x10),
            device("w", WordWide.self, at: 0xfffd...0xfffe, first: 0x80),
            device("e", ByteWide.self, at: 0xffff...0xffff, first: 0xe0),
        ])
        XCTAssertEqual(bus.read(0xffff, .byte), 0xe0)
        XCTAssertEqual(bus.read(0xffff, .word), 0x10e0)
        XCTAssertEqual(bus.read(0xffff, .long), 0xff11_10e0)
        XCTAssertEqual(bus.read(0xfffd, .long), 0x10e0_8180)
        XCTAssertEqual(bus.read(0xfffe, .long), 0x1110_8281)
        _ = log.take()
        XCTAssertTrue(bus.write(0xffff, .long, 0x8877_6655))
        XCTAssertEqual(
            log.take(), [write("e", 0, .byte, 0x55), write("z", 0, .byte, 0x66), write("z", 1, .byte, 0x77)])
        XCTAssertTrue(bus.write(0xfffe, .long, 0x8877_6655))
        XCTAssertEqual(
            log.take(), [write("w", 1, .word, 0x6655), write("z", 0, .byte, 0x77), write("z", 1, .byte, 0x88)])
        let alone = try PortBus([device("e", ByteWide.self, at: 0xffff...0xffff)])
        XCTAssertEqual(alone.read(0xffff, .long), 0xffff_ff00)
    }

    func testOverlaps() throws {
        let overlapping: [(ClosedRange<UInt16>, ClosedRange<UInt16>)] = [
            (0x10...0x17, 0x10...0x17), (0x10...0x17, 0x12...0x13), (0x12...0x13, 0x10...0x17),
            (0x10...0x17, 0x17...0x20), (0x17...0x20, 0x10...0x17), (0...0xffff, 0xffff...0xffff), (0...0, 0...0xffff),
        ]
        for (one, other) in overlapping {
            let attachments = [device("a", ByteWide.self, at: one), device("b", ByteWide.self, at: other)]
            XCTAssertThrowsError(try PortBus(attachments)) {
                XCTAssertEqual($0 as? BusError, .overlap("b", "a"), "\(one), \(other)")
            }
        }
        let apart: [(ClosedRange<UInt16>, ClosedRange<UInt16>)] = [
            (0x10...0x17, 0x18...0x20), (0x18...0x20, 0x10...0x17), (0...0, 0xffff...0xffff),
            (0...0xfffe, 0xffff...0xffff),
        ]
        for (one, other) in apart {
            let bus = try PortBus([device("a", ByteWide.self, at: one), device("b", ByteWide.self, at: other)])
            XCTAssertEqual(bus.attachments.map(\.name), ["a", "b"])
        }
    }

    /// The table has a byte a port, and 0 is for ports without a device.
    func testAsManyDevicesAsThereCanBe() throws {
        let attachments = (0...255).map { device("\($0)", ByteWide.self, at: $0...$0, first: UInt8($0)) }
        let bus = try PortBus(attachments.dropLast())
        XCTAssertEqual((0...254).map { bus.read($0, .byte) }, (0...254).map { UInt32($0) })
        XCTAssertNil(bus.read(255, .byte))
        XCTAssertThrowsError(try PortBus(attachments)) { XCTAssertEqual($0 as? BusError, .tooManyDevices) }
    }
}

/// Physical addresses without memory, at the edges of devices and of the address space.
final class MMIOBusTests: XCTestCase {
    private let log = ProbeLog()

    private func device(_ name: String, at start: UInt64, size: UInt64) -> MMIOAttachment {
        MMIOAttachment(
            BusProbe<ByteWide>(name, log: log), named: name, at: GuestPhysicalAddress(start), size: size)
    }

    private func checkNobody(_ bus: MMIOBus, _ address: UInt64, line: UInt = #line) {
        for width in AccessWidth.allCases {
            XCTAssertNil(bus.read(GuestPhysicalAddress(address), width), line: line)
            XCTAssertFalse(bus.write(GuestPhysicalAddress(address), width, 0), line: line)
        }
        XCTAssertEqual(log.take(), [], line: line)
    }

    func testNobody() throws {
        for address: UInt64 in [0, 0xfee0_0000, .max] { checkNobody(try MMIOBus([]), address) }
        let bus = try MMIOBus([device("a", at: 0x1000, size: 0x10)])
        for address: UInt64 in [0, 0xfff, 0x1010, 0x1_0000_1000, .max] { checkNobody(bus, address) }
    }

    /// A device is asked once, whatever the width, and even past its last address: the first address decides.
    func testFirstAndLastAddress() throws {
        let bus = try MMIOBus([device("a", at: 0x1000, size: 0x10), device("b", at: 0x1010, size: 1)])
        for width in AccessWidth.allCases {
            let cases: [(UInt64, String, UInt64)] = [(0x1000, "a", 0), (0x100f, "a", 0xf), (0x1010, "b", 0)]
            for (address, name, offset) in cases {
                let start = GuestPhysicalAddress(address)
                let expected = 0x0706_0504_0302_0100 + offset * 0x0101_0101_0101_0101
                XCTAssertEqual(bus.read(start, width), expected & width.allOnes)
                XCTAssertTrue(bus.write(start, width, 0x5a))
                XCTAssertEqual(
                    log.take(),
                    [
                        ProbedAccess(device: name, offset: offset, width: width),
                        ProbedAccess(device: name, offset: offset, width: width, value: 0x5a),
                    ])
            }
        }
        checkNobody(bus, 0x1011)
    }

    func testARangeThatEndsAt2To64() throws {
        let last = 0xffff_ffff_ffff_f000 as UInt64
        let bus = try MMIOBus([device("a", at: last, size: 0x1000), device("z", at: 0, size: 8)])
        XCTAssertTrue(bus.write(GuestPhysicalAddress(.max), .quad, 1))
        XCTAssertTrue(bus.write(GuestPhysicalAddress(last), .byte, 2))
        XCTAssertTrue(bus.write(GuestPhysicalAddress(0), .byte, 3))
        XCTAssertEqual(
            log.take(),
            [
                ProbedAccess(device: "a", offset: 0xfff, width: .quad, value: 1),
                ProbedAccess(device: "a", offset: 0, width: .byte, value: 2),
                ProbedAccess(device: "z", offset: 0, width: .byte, value: 3),
            ])
        checkNobody(bus, 8)
        checkNobody(bus, last - 1)
    }

    func testOverlaps() {
        let overlapping: [(UInt64, UInt64, UInt64, UInt64)] = [
            (0x1000, 0x10, 0x1000, 0x10), (0x1000, 0x10, 0x1004, 4), (0x1004, 4, 0x1000, 0x10),
            (0x1000, 0x10, 0x100f, 0x10), (0x100f, 0x10, 0x1000, 0x10), (.max, 1, 0xffff_ffff_ffff_f000, 0x1000),
        ]
        for (one, oneSize, other, otherSize) in overlapping {
            let attachments = [device("a", at: one, size: oneSize), device("b", at: other, size: otherSize)]
            XCTAssertThrowsError(try MMIOBus(attachments)) {
                XCTAssertEqual($0 as? BusError, .overlap("b", "a"), "\(one), \(other)")
            }
        }
    }

    func testNeighboursDoNotOverlap() throws {
        let touching: [(UInt64, UInt64, UInt64, UInt64)] = [
            (0x1000, 0x10, 0x1010, 0x10), (0x1010, 0x10, 0x1000, 0x10), (0xffff_ffff_ffff_f000, 0x1000, 0, 1),
            (0, 1, 0xffff_ffff_ffff_f000, 0x1000),
        ]
        for (one, oneSize, other, otherSize) in touching {
            let bus = try MMIOBus([device("a", at: one, size: oneSize), device("b", at: other, size: otherSize)])
            XCTAssertEqual(bus.attachments.map(\.name), ["a", "b"])
        }
    }

    /// The limit of the ports' table is none here.
    func testManyDevices() throws {
        let bus = try MMIOBus((0..<300).map { device("\($0)", at: $0 * 0x1000, size: 0x1000) })
        XCTAssertTrue(bus.write(GuestPhysicalAddress(299 * 0x1000 + 5), .byte, 6))
        XCTAssertEqual(log.take(), [ProbedAccess(device: "299", offset: 5, width: .byte, value: 6)])
    }
}
