@testable import Boot
import Foundation
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

/// Files whose bytes go straight into the guest's memory: what is loaded is what a file that was read whole loads.
final class OpenedImageTests: XCTestCase {
    private var directory = ""
    /// Larger than what is read at once.
    private static let largeSize = 5 << 20

    override func setUpWithError() throws {
        directory = NSTemporaryDirectory() + "minivmm-opened-image-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(atPath: directory)
    }

    private func path(_ bytes: [UInt8], _ name: String = "image") throws -> String {
        let path = directory + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// Bytes that differ at the start and the end.
    private static func large(_ size: Int = largeSize) -> [UInt8] {
        let marks = SampleBzImage.pattern(count: 0x1000)
        return marks + [UInt8](repeating: 0x5a, count: size - 2 * marks.count) + marks.reversed()
    }

    private func error<Result>(_ body: () throws -> Result) -> ImageError? {
        do {
            _ = try body()
            return nil
        } catch {
            return error as? ImageError
        }
    }

    func testOfALargeFileTheBeginningIsRead() throws {
        let bytes = Self.large()
        let file = try ImageFile(opening: path(bytes))
        XCTAssertEqual(file.size, UInt64(bytes.count))
        XCTAssertEqual(file.bytes, Array(bytes[..<0x4_0000]))
        XCTAssertEqual(try file.whole().bytes, bytes)
        XCTAssertEqual(try file.part(at: 0x10, count: 0x10), Array(bytes[0x10..<0x20]))
        XCTAssertEqual(try file.part(at: UInt64(bytes.count) - 7, count: 7), Array(bytes.suffix(7)))
    }

    func testASmallFileIsReadWhole() throws {
        let bytes = Self.large(4 << 20 - 1)
        let file = try ImageFile(opening: path(bytes))
        XCTAssertEqual(file.bytes, bytes)
        XCTAssertEqual(file.size, UInt64(bytes.count))
    }

    func testPartsOutsideAreRefused() throws {
        for file in [try ImageFile(opening: path(Self.large())), ImageFile(path: "small", bytes: [1, 2, 3])] {
            XCTAssertEqual(error { try file.part(at: file.size, count: 1) }, .shortened(path: file.path))
            XCTAssertEqual(error { try file.part(at: .max, count: 2) }, .shortened(path: file.path))
        }
    }

    func testLoadsWhatAWholeFileLoads() throws {
        try TestBed.skipWhereEmulated()
        var bzImage = SampleBzImage()
        bzImage.payload = Self.large()
        bzImage.runtimeSize = 0x80_0000
        var elf = SampleELF()
        elf.segments[1].bytes = Self.large()
        elf.segments[1].memorySize = 0x60_0000
        let initrd = Self.large(6 << 20)
        for (name, bytes) in [
            ("bzImage", bzImage.bytes), ("vmlinux", elf.bytes), ("late headers", withLateHeaders(elf.bytes)),
        ] {
            let path = try path(bytes, name), initrdPath = try self.path(initrd, "initrd")
            var settings = GuestSettings()
            settings.memorySize = 64 << 20
            settings.initrd = initrdPath
            let memories = try [ImageFile(reading: path), ImageFile(opening: path)].map { file in
                let guest = try GuestLoaders.guest(file, settings)
                let memory = try guest.makeMemory()
                let loaded = try guest.load(into: memory, on: GuestPlatform())
                XCTAssertEqual(try memory.bytes(at: XCTUnwrap(loaded.initrd).lowerBound, count: initrd.count), initrd)
                return (memory, loaded)
            }
            XCTAssertEqual(memories[0].1, memories[1].1, name)
            let size = 64 << 20
            let images = try memories.map { try $0.0.bytes(at: GuestPhysicalAddress(0), count: size) }
            // Not XCTAssertEqual, which would print them.
            XCTAssertTrue(images[0] == images[1], name)
        }
    }

    /// The same kernel with its program headers at the end of the file, where no linker puts them.
    private func withLateHeaders(_ bytes: [UInt8]) -> [UInt8] {
        let table = SampleELF.headerSize..<SampleELF.headerSize + 3 * SampleELF.entryHeaderSize
        var moved = bytes + bytes[table]
        moved.replaceSubrange(table, with: [UInt8](repeating: 0, count: table.count))
        moved.set(UInt64(bytes.count), at: 32)
        return moved
    }

    func testAFileThatBecomesShorterIsAnError() throws {
        var bzImage = SampleBzImage()
        bzImage.payload = Self.large()
        bzImage.runtimeSize = 0x80_0000
        let path = try path(bzImage.bytes)
        let guest = try GuestLoaders.guest(ImageFile(opening: path))
        XCTAssertEqual(truncate(path, 0x10_0000), 0)
        let memory = try guest.makeMemory()
        XCTAssertEqual(error { try guest.load(into: memory, on: GuestPlatform()) }, .shortened(path: path))
    }

    func testALargeFlatImageIsItsOwnDisk() throws {
        // A boot sector before 5 MiB of disk.
        var bytes = Self.large()
        bytes[0] = 0xf4  // hlt
        bytes[510] = 0x55
        bytes[511] = 0xaa
        let guest = try GuestLoaders.guest(ImageFile(opening: path(bytes)))
        XCTAssertEqual((guest as? FlatGuest)?.image.count, bytes.count)
    }

    func testLimitsHold() throws {
        let path = try path(Self.large())
        let size = UInt64(Self.largeSize)
        XCTAssertEqual(
            error { try ImageFile(opening: path, limit: size - 1) }, .oversized(path: path, size: size, limit: size - 1)
        )
        XCTAssertNil(error { try ImageFile(opening: path, limit: size) })
    }
}
