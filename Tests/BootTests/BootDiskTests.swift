@testable import Boot
@testable import Memory
@testable import TestSupport
import XCTest

/// The disk of a flat guest, and what is loaded of it.
final class BootDiskTests: XCTestCase {
    private static let room = 0xa_0000 - 0x7c00

    /// An image with the signature of a boot sector, whose sectors begin with their numbers.
    private func image(size: Int, isBootable: Bool = true) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        for sector in 0..<(size / 512) { bytes[sector * 512] = UInt8(truncatingIfNeeded: sector) }
        if isBootable { bytes.replaceSubrange(510..<512, with: [0x55, 0xaa]) }
        return bytes
    }

    private func load(_ guest: FlatGuest) throws -> (loaded: LoadedGuest, memory: GuestMemory) {
        let memory = try guest.makeMemory()
        return (try guest.load(into: memory, on: GuestPlatform()), memory)
    }

    func testAnImageThatIsTooLargeBootsByItsFirstSector() throws {
        let guest = FlatGuest(image: image(size: 1_474_560))
        let (loaded, memory) = try load(guest)
        XCTAssertEqual(loaded.image.upperBound.rawValue, 0x7e00)
        XCTAssertEqual(try memory.bytes(at: GuestPhysicalAddress(0x7dfe), count: 3), [0x55, 0xaa, 0])
        XCTAssertEqual(loaded.entry.rdx, 0, "the first floppy drive")
        XCTAssertEqual(guest.code, .image(Array(guest.image.prefix(512)), loadedAt: 0x7c00))
        XCTAssertEqual(guest.bootDisk?.bytes.count, 1_474_560)
    }

    func testAnImageOfAHardDiskBootsFromDrive80() throws {
        let (loaded, _) = try load(FlatGuest(image: image(size: 10 << 20)))
        XCTAssertEqual(loaded.entry.rdx, 0x80)
    }

    func testAnImageThatFitsIsLoadedWhole() throws {
        let (loaded, memory) = try load(FlatGuest(image: image(size: Self.room / 512 * 512)))
        XCTAssertEqual(loaded.image.upperBound.rawValue, 0xa_0000)
        XCTAssertEqual(try memory.load(UInt8.self, at: GuestPhysicalAddress(0x7c00 + 512 * 7)), 7)
        XCTAssertEqual(loaded.entry.rdx, 0x80)
    }

    func testAnImageThatIsTooLargeAndNoBootSectorIsRefused() throws {
        let size = Self.room + 1
        XCTAssertThrowsError(try load(FlatGuest(image: image(size: size, isBootable: false)))) { error in
            XCTAssertEqual(
                error as? FlatGuestError,
                .doesNotFit(imageSize: size, address: 0x7c00, room: UInt64(Self.room)))
        }
    }

    func testAnAddressThatAPersonChoseIsForTheWholeImage() throws {
        var settings = GuestSettings()
        settings.loadAddress = 0x7c00
        XCTAssertThrowsError(try load(FlatGuest(image: image(size: 1_474_560), settings)))
    }

    func testGeometries() {
        for (size, geometry) in [
            (512, [80, 2, 18]), (368_640, [40, 2, 9]), (737_280, [80, 2, 9]), (1_228_800, [80, 2, 15]),
            (1_474_560, [80, 2, 18]), (2_949_120, [80, 2, 36]), (1_474_561, [3, 16, 63]), (10 << 20, [21, 16, 63]),
            (528_482_304, [1024, 16, 63]), (528_482_305, [513, 32, 63]),
        ] {
            let disk = BootDisk([UInt8](repeating: 0, count: size))
            XCTAssertEqual([disk.geometry.cylinders, disk.geometry.heads, disk.geometry.sectors], geometry, "\(size)")
        }
    }

    func testSectorsOfAFloppyDiskPastItsImageAreZeros() {
        let disk = BootDisk(image(size: 700))
        XCTAssertEqual(disk.sectorCount, 2880)
        XCTAssertEqual(disk.read(1, count: 1), [UInt8](repeating: 0, count: 512))
        XCTAssertEqual(disk.read(2879, count: 1)?.count, 512)
        XCTAssertNil(disk.read(2880, count: 1))
        XCTAssertNil(disk.read(2879, count: 2))
        XCTAssertNil(disk.read(.max, count: 1))
    }

    func testSectorsOfAHardDiskEndWithItsImage() {
        let disk = BootDisk(image(size: 4 << 20))
        XCTAssertEqual(disk.sectorCount, 8192)
        XCTAssertEqual(disk.read(300, count: 2)?.first, 44)
        XCTAssertNil(disk.read(8192, count: 1))
    }

    func testCylindersHeadsAndSectors() {
        let disk = BootDisk(image(size: 1_474_560))
        XCTAssertEqual(disk.sector(cylinder: 0, head: 0, sector: 1), 0)
        XCTAssertEqual(disk.sector(cylinder: 0, head: 1, sector: 1), 18)
        XCTAssertEqual(disk.sector(cylinder: 79, head: 1, sector: 18), 2879)
        for (cylinder, head, sector) in [(80, 0, 1), (0, 2, 1), (0, 0, 0), (0, 0, 19)] {
            XCTAssertNil(disk.sector(cylinder: cylinder, head: head, sector: sector))
        }
    }
}

/// What of a kernel's command line says how it resets the machine.
final class RebootMethodTests: XCTestCase {
    func testTheLastOneCounts() {
        for (commandLine, method): (String, RebootMethod?) in [
            ("", nil), ("console=ttyS0 panic=-1", nil), ("reboot=t", .tripleFault),
            ("quiet reboot=k,t x", .tripleFault),
            ("reboot=t reboot=a", .acpi), ("reboot=triple", .tripleFault), ("reboot=warm,t", .tripleFault),
            ("reboot=t,panic_warm", .tripleFault), ("reboot=w", nil), ("xreboot=t", nil), ("init=/x -- reboot=t", nil),
            ("reboot=", nil), ("reboot=,", nil), ("reboot=pci", .pciForced), ("reboot=efi\treboot=b", .bios),
        ] {
            XCTAssertEqual(RebootMethod(commandLine: commandLine), method, commandLine)
        }
    }
}
