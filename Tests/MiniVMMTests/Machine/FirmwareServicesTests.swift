@testable import Boot
@testable import Devices
@testable import Host
@testable import KVM
@testable import Memory
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// What a BIOS's services leave in registers and memory, without a machine.
final class FirmwareServicesTests: XCTestCase {
    private let memory: GuestMemory

    required init(name: String, testClosure: @escaping XCTestCaseClosure) {
        // 640 KiB, the firmware's segment, and the rest up to 32 MiB.
        let layout = [
            (start: GuestPhysicalAddress(0), size: UInt64(0xa_0000)), (start: BootLayout.firmware, size: 0x1_0000),
            (start: GuestPhysicalAddress(0x10_0000), size: 31 << 20),
        ]
        do {
            memory = try GuestMemory(layout: layout)
        } catch {
            preconditionFailure("\(error)")
        }
        super.init(name: name, testClosure: testClosure)
    }

    /// A call with the given registers, from a stack at 0x7c00 with all flags clear.
    private func call(
        ax: UInt16, bx: UInt16 = 0, cx: UInt16 = 0, dx: UInt16 = 0, si: UInt16 = 0, di: UInt16 = 0, es: UInt16 = 0
    ) -> FirmwareCall {
        var registers = GeneralRegisters()
        // What is above 16 bits is the guest's own.
        registers.rax = 0xdead_0000 | UInt64(ax)
        registers.rbx = UInt64(bx)
        registers.rcx = UInt64(cx)
        registers.rdx = 0xbeef_0000 | UInt64(dx)
        registers.rsi = UInt64(si)
        registers.rdi = UInt64(di)
        registers.rsp = 0x7bfa
        var special = SpecialRegisters()
        special.es.selector = es
        special.es.base = UInt64(es) << 4
        return FirmwareCall(registers, special, memory)
    }

    private func flags() throws -> UInt16 { try memory.load(UInt16.self, at: GuestPhysicalAddress(0x7bfe)) }

    // MARK: Disks

    /// A disk whose sectors begin with their numbers.
    private func disk(sectors: Int) -> DiskServices {
        var bytes = [UInt8](repeating: 0, count: sectors * 512)
        for sector in 0..<sectors {
            bytes[sector * 512] = UInt8(truncatingIfNeeded: sector)
            bytes[sector * 512 + 1] = UInt8(truncatingIfNeeded: sector >> 8)
        }
        return DiskServices(BootDisk(bytes))
    }

    func testReadsByCylinderHeadAndSector() throws {
        for drive in [UInt16(0), 0x80] {
            var call = call(ax: 0x0203, bx: 0x100, cx: 0x0a05, dx: 0x0100 | drive, es: 0x900)
            disk(sectors: 2880).serve(&call)
            XCTAssertEqual(call.ax, 0x0003)
            XCTAssertEqual(call.registers.rax, 0xdead_0003)
            XCTAssertEqual(call.carry, false)
            // (10 * 2 + 1) * 18 + 4 = 382.
            for (place, sector) in [(0, 382), (1, 383), (2, 384)] {
                let address = GuestPhysicalAddress(UInt64(0x9100 + place * 512))
                XCTAssertEqual(try memory.load(UInt16.self, at: address), UInt16(sector))
            }
        }
    }

    func testCylindersPast255HaveTheirHighBitsInCL() throws {
        var call = call(ax: 0x0201, bx: 0x9000, cx: 0x2c41, dx: 0x0080)
        // Cylinder 0x12c = 300 of 16 heads and 63 sectors.
        disk(sectors: 302_500).serve(&call)
        XCTAssertEqual(call.carry, false)
        XCTAssertEqual(
            try memory.load(UInt16.self, at: GuestPhysicalAddress(0x9000)), UInt16(truncatingIfNeeded: 302_400))
    }

    func testWhatCannotBeRead() {
        for (ax, cx, dx, bx, status): (UInt16, UInt16, UInt16, UInt16, UInt8) in [
            (0x0201, 0x0013, 0x0080, 0x9000, 0x04),  // sector 19
            (0x0201, 0x5001, 0x0080, 0x9000, 0x04),  // cylinder 80
            (0x0202, 0x4f12, 0x0180, 0x9000, 0x04),  // past the last sector
            (0x0200, 0x0001, 0x0080, 0x9000, 0x04),  // none at all
            (0x0201, 0x0001, 0x0081, 0x9000, 0x01),  // another drive
            (0x0301, 0x0001, 0x0080, 0x9000, 0x03),  // a write
            (0x5f00, 0x0001, 0x0080, 0x9000, 0x01),  // no such function
        ] {
            var call = call(ax: ax, bx: bx, cx: cx, dx: dx)
            disk(sectors: 2880).serve(&call)
            XCTAssertEqual(call.ah, status, "\(ax) \(cx)")
            XCTAssertEqual(call.carry, true)
        }
        var outside = call(ax: 0x0201, cx: 0x0001, dx: 0x80, es: 0xa000)
        disk(sectors: 2880).serve(&outside)
        XCTAssertEqual(outside.ax, 0x0900)
        XCTAssertEqual(outside.carry, true)
    }

    func testParameters() {
        var floppy = call(ax: 0x0800, bx: 0xff00)
        disk(sectors: 2880).serve(&floppy)
        XCTAssertEqual([floppy.ax, floppy.cx, floppy.dx], [0, 0x4f12, 0x0101])
        XCTAssertEqual(floppy.carry, false)
        var hard = call(ax: 0x0800, dx: 0x80)
        disk(sectors: 302_500).serve(&hard)
        // 301 cylinders, 16 heads, 63 sectors: the last is cylinder 300 = 0x12c.
        XCTAssertEqual([hard.ax, hard.cx, hard.dx], [0, 0x2c7f, 0x0f01])
        var type = call(ax: 0x1500, dx: 0x80)
        disk(sectors: 302_500).serve(&type)
        XCTAssertEqual([type.ax, type.cx, type.dx], [0x0300, 4, 0x9da4])
    }

    func testExtensions() throws {
        let disk = disk(sectors: 302_500)
        var check = call(ax: 0x4100, bx: 0x55aa, dx: 0x80)
        disk.serve(&check)
        XCTAssertEqual([UInt16(check.ah), check.bx, check.cx], [0x21, 0xaa55, 1])
        XCTAssertEqual(check.carry, false)
        // Two sectors from 300,000 to 0900:0010.
        let packet: [UInt8] = [16, 0, 2, 0, 0x10, 0, 0, 0x09, 0xe0, 0x93, 4, 0, 0, 0, 0, 0]
        try memory.write(packet, at: GuestPhysicalAddress(0x600))
        var read = call(ax: 0x4200, dx: 0x80, si: 0x600)
        disk.serve(&read)
        XCTAssertEqual(read.ah, 0)
        XCTAssertEqual(read.carry, false)
        let second = try memory.load(UInt16.self, at: GuestPhysicalAddress(0x9210))
        XCTAssertEqual(second, UInt16(truncatingIfNeeded: 300_001))
        // Past the end: none are transferred.
        try memory.store(UInt64(302_499), at: GuestPhysicalAddress(0x608))
        read.ah = 0x42
        disk.serve(&read)
        XCTAssertEqual(read.ah, 4)
        XCTAssertEqual(read.carry, true)
        XCTAssertEqual(try memory.load(UInt16.self, at: GuestPhysicalAddress(0x602)), 0)
        // To an address of 64 bits.
        try memory.write(
            [24, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0],
            at: GuestPhysicalAddress(0x600))
        read.ah = 0x42
        disk.serve(&read)
        XCTAssertEqual(try memory.load(UInt16.self, at: GuestPhysicalAddress(0x10_0000)), 7)
        try memory.store(UInt16(26), at: GuestPhysicalAddress(0x700))
        var parameters = call(ax: 0x4800, dx: 0x80, si: 0x700)
        disk.serve(&parameters)
        XCTAssertEqual(try memory.load(UInt64.self, at: GuestPhysicalAddress(0x710)), 302_500)
        XCTAssertEqual(try memory.load(UInt16.self, at: GuestPhysicalAddress(0x718)), 512)
    }

    // MARK: The system and the time

    func testMemoryMap() throws {
        var number: UInt16 = 0
        var entries: [[UInt64]] = []
        repeat {
            var call = call(ax: 0xe820, bx: number, cx: 24, di: 0x500)
            call.registers.rax = 0xe820
            call.registers.rdx = 0x534d_4150
            SystemServices().serveSystem(&call)
            XCTAssertEqual(call.registers.rax, 0x534d_4150)
            XCTAssertEqual(call.cx, 20)
            XCTAssertEqual(call.carry, false)
            let place = GuestPhysicalAddress(0x500)
            entries.append([
                try memory.load(UInt64.self, at: place), try memory.load(UInt64.self, at: place &+ 8),
                UInt64(try memory.load(UInt32.self, at: place &+ 16)),
            ])
            number = call.bx
        } while number != 0 && entries.count < 9
        XCTAssertEqual(entries, [[0, 0xa_0000, 1], [0xf_0000, 0x1_0000, 2], [0x10_0000, 31 << 20, 1]])
    }

    func testMemorySizesAndTheA20Gate() {
        func serve(_ ax: UInt16) -> FirmwareCall {
            var call = call(ax: ax)
            SystemServices().serveSystem(&call)
            return call
        }
        XCTAssertEqual(serve(0x8800).ax, 31 << 10)
        let sizes = serve(0xe801)
        XCTAssertEqual([sizes.ax, sizes.bx, sizes.cx, sizes.dx], [15 << 10, 256, 15 << 10, 256])
        XCTAssertEqual(serve(0x2401).carry, false)
        XCTAssertEqual(serve(0x2402).ax, 1)
        XCTAssertEqual(serve(0x2400).carry, true, "it cannot be shut")
        let unknown = serve(0xc000)
        XCTAssertEqual(unknown.ah, 0x86)
        XCTAssertEqual(unknown.carry, true)
    }

    func testTime() {
        // 2026-11-27 21:34:56 UTC, and a half.
        let services = SystemServices { 1_795_815_296_500_000_000 }
        func serve(_ ax: UInt16) -> FirmwareCall {
            var call = call(ax: ax)
            services.serveTime(&call)
            return call
        }
        XCTAssertEqual([serve(0x0200).cx, serve(0x0200).dx], [0x2134, 0x5600])
        XCTAssertEqual([serve(0x0400).cx, serve(0x0400).dx], [0x2026, 0x1127])
        // 77,696.5 s times 18.2065 Hz are 1,414,582 ticks.
        let ticks = serve(0x0000)
        XCTAssertEqual(UInt32(ticks.cx) << 16 | UInt32(ticks.dx), 1_414_582)
        XCTAssertEqual(serve(0xb101).carry, true, "there is no PCI")
    }

    // MARK: Keys and flags

    func testKeys() {
        let serial = Serial16550(interrupt: { _ in }, transmit: { _ in })
        let keyboard = KeyboardServices(serial)
        var peek = call(ax: 0x0100)
        XCTAssertTrue(keyboard.serve(&peek))
        XCTAssertEqual(peek.zero, true)
        var read = call(ax: 0x1000)
        XCTAssertFalse(keyboard.serve(&read), "it waits")
        for (byte, key): (UInt8, UInt16) in [
            (0x61, 0x1e61), (0x41, 0x1e41), (0x0a, 0x1c0d), (0x0d, 0x1c0d), (0x7f, 0x0e08), (0x1b, 0x011b),
            (0x20, 0x3920), (0x03, 0x2e03), (0x2f, 0x352f), (0x3d, 0x0d3d), (0xc3, 0x00c3),
        ] {
            XCTAssertEqual(serial.receive([byte]), 1)
            XCTAssertTrue(keyboard.serve(&peek))
            XCTAssertEqual(peek.ax, key)
            XCTAssertEqual(peek.zero, false)
            var read = call(ax: 0x0000)
            XCTAssertTrue(keyboard.serve(&read))
            XCTAssertEqual(read.ax, key)
            peek.ah = 1
        }
        XCTAssertEqual(serial.receive([1]), 1, "each was taken once")
    }

    func testFlagsGoToTheStack() throws {
        var call = call(ax: 0)
        try memory.store(UInt16(0x0246), at: GuestPhysicalAddress(0x7bfe))
        call.storeFlags()
        XCTAssertEqual(try flags(), 0x0246)
        call.carry = true
        call.zero = false
        call.storeFlags()
        XCTAssertEqual(try flags(), 0x0207)
        call.carry = false
        call.zero = nil
        call.storeFlags()
        XCTAssertEqual(try flags(), 0x0206)
    }
}
