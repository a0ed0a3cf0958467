@testable import Boot
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest
@testable import minivmm_cli

final class BootLayoutTests: XCTestCase {
    private static let mebibyte: UInt64 = 1 << 20
    private static let gibibyte: UInt64 = 1 << 30

    private func regions(_ memorySize: UInt64) throws -> [[UInt64]] {
        try BootLayout.regions(memorySize: memorySize).map { [$0.start.rawValue, $0.size] }
    }

    func testMemoryUpTo3GiBIsOneRegion() throws {
        XCTAssertEqual(try regions(128 * Self.mebibyte), [[0, 128 * Self.mebibyte]])
        XCTAssertEqual(try regions(3 * Self.gibibyte), [[0, 3 * Self.gibibyte]])
    }

    func testMemoryAbove3GiBGoesAbove4GiB() throws {
        let low = [0, 3 * Self.gibibyte]
        XCTAssertEqual(try regions(3 * Self.gibibyte + 4096), [low, [4 * Self.gibibyte, 4096]])
        XCTAssertEqual(try regions(5 * Self.gibibyte), [low, [4 * Self.gibibyte, 2 * Self.gibibyte]])
        let maximum = try regions(BootLayout.maximumMemorySize)
        XCTAssertEqual(maximum.last.map { $0[0] + $0[1] }, 1 << 39)
    }

    func testSizesThatAreNone() {
        let samples: [(UInt64, MemorySizeError)] = [
            (0, .tooSmall(0, least: 0x20_0000)),
            (0x1f_f000, .tooSmall(0x1f_f000, least: 0x20_0000)),
            (0x20_0001, .notWholePages(0x20_0001)),
            (1 << 39, .tooLarge(1 << 39, maximum: BootLayout.maximumMemorySize)),
            (.max, .tooLarge(.max, maximum: BootLayout.maximumMemorySize)),
        ]
        for (size, expected) in samples {
            XCTAssertThrowsError(try BootLayout.regions(memorySize: size)) { error in
                XCTAssertEqual(error as? MemorySizeError, expected)
                XCTAssertEqual((error as? MemorySizeError)?.exitStatus, .usage)
            }
        }
    }

    /// Start, end and kind of each line.
    private func map(_ memorySize: UInt64) throws -> [[UInt64]] {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: memorySize))
        return MemoryMapEntry.map(of: memory).map {
            [$0.range.lowerBound.rawValue, $0.range.upperBound.rawValue, UInt64($0.kind.rawValue)]
        }
    }

    func testMemoryMap() throws {
        let firstMegabyte: [[UInt64]] = [[0, 0x9_fc00, 1], [0x9_fc00, 0xa_0000, 2], [0xe_0000, 0x10_0000, 2]]
        XCTAssertEqual(try map(128 * Self.mebibyte), firstMegabyte + [[0x10_0000, 0x800_0000, 1]])
        XCTAssertEqual(try map(3 * Self.gibibyte), firstMegabyte + [[0x10_0000, 0xc000_0000, 1]])
        XCTAssertEqual(
            try map(5 * Self.gibibyte),
            firstMegabyte + [[0x10_0000, 0xc000_0000, 1], [0x1_0000_0000, 0x1_8000_0000, 1]])
    }

    func testNothingOverlaps() {
        let page = GuestMemory.pageSize
        let parts: [(GuestPhysicalAddress, UInt64)] = [
            (GuestPhysicalAddress(0), BootLayout.biosDataEnd.rawValue),
            (BootLayout.descriptorTable, 0x30),
            (BootLayout.startInfo, page),
            (BootLayout.bootParameters, page),
            (BootLayout.stackEnd &- page, page),
            (BootLayout.pageTables, 6 * page),
            (BootLayout.commandLine, BootLayout.commandLineSize),
            (BootLayout.baseMemoryEnd, 0),
            (BootLayout.acpiTables, BootLayout.acpiTablesSize),
            (BootLayout.extendedMemory, 0),
        ]
        for (part, next) in zip(parts, parts.dropFirst()) {
            XCTAssertLessThanOrEqual(part.0 &+ part.1, next.0)
        }
    }
}
