import Host
@testable import TestSupport
import XCTest

@testable import Memory

/// Which regions memory can be made of, and a system that has none to give.
final class GuestMemoryLayoutTests: XCTestCase {
    private func regions(_ layout: [(UInt64, UInt64)]) -> [(start: GuestPhysicalAddress, size: UInt64)] {
        layout.map { (GuestPhysicalAddress($0), $1) }
    }

    func testInvalidLayouts() {
        let invalid: [(String, [(UInt64, UInt64)])] = [
            ("no region", []),
            ("an empty region", [(0, 0)]),
            ("an empty region after another", [(0, 0x1000), (0x1000, 0)]),
            ("a size that is not whole pages", [(0, 0x1001)]),
            ("less than a page", [(0, 0xfff)]),
            ("a start in the middle of a page", [(0x800, 0x1000)]),
            ("an overlap", [(0, 0x2000), (0x1000, 0x1000)]),
            ("the same twice", [(0x1000, 0x1000), (0x1000, 0x1000)]),
            ("one inside another", [(0, 0x4000), (0x1000, 0x1000)]),
            ("a descending order", [(0x1000, 0x1000), (0, 0x1000)]),
            ("an end at 2^64", [(0xffff_ffff_ffff_f000, 0x1000)]),
            ("an end past 2^64", [(0xffff_ffff_ffff_f000, 0x2000)]),
            ("more than an Int of bytes", [(0, 1 << 63)]),
            ("more than an Int of bytes in all", [(0, 0x4000_0000_0000_0000), (1 << 63, 0x4000_0000_0000_0000)]),
        ]
        for (name, layout) in invalid {
            XCTAssertThrowsError(try GuestMemory(layout: regions(layout)), name) {
                XCTAssertEqual($0 as? GuestMemoryError, .invalidLayout, name)
            }
        }
    }

    func testRegions() throws {
        let memory = try GuestMemory(
            layout: regions([(0, 0x1000), (0x1000, 0x2000), (0xffff_ffff_ffff_e000, 0x1000)]))
        XCTAssertEqual(memory.size, 0x4000)
        XCTAssertEqual(memory.regions.map(\.start.rawValue), [0, 0x1000, 0xffff_ffff_ffff_e000])
        XCTAssertEqual(memory.regions.map(\.size), [0x1000, 0x2000, 0x1000])
        XCTAssertEqual(memory.regions.map(\.end), [0x1000, 0x3000, 0xffff_ffff_ffff_f000])
    }

    /// What is written at the end of one region is not seen in the next, and all else is zero.
    func testRegionsShareNoMemory() throws {
        let memory = try GuestMemory(layout: regions([(0, 0x1000), (0x1000, 0x1000), (0x8000, 0x1000)]))
        for region in memory.regions {
            XCTAssertEqual(try memory.bytes(at: region.start, count: 0x1000), [UInt8](repeating: 0, count: 0x1000))
            try memory.write([UInt8](repeating: 0xff, count: 0x1000), at: region.start)
        }
        try memory.write([UInt8](repeating: 0, count: 0x1000), at: GuestPhysicalAddress(0x1000))
        for start: UInt64 in [0, 0x8000] {
            let bytes = try memory.bytes(at: GuestPhysicalAddress(start), count: 0x1000)
            XCTAssertEqual(bytes, [UInt8](repeating: 0xff, count: 0x1000))
        }
    }

    func testTheSystemRefuses() {
        var calls = MemorySystemCalls()
        calls.mapAnonymous = { _, _ in 0 &- ErrorNumber.outOfMemory.rawValue }
        XCTAssertThrowsError(try GuestMemory(layout: regions([(0, 0x30_0000)]), systemCalls: calls)) {
            XCTAssertEqual($0 as? GuestMemoryError, .refused(byteCount: 0x30_0000, .outOfMemory))
        }
        // More than any process has addresses for.
        XCTAssertThrowsError(try GuestMemory(layout: regions([(0, 1 << 62)]))) {
            XCTAssertEqual($0 as? GuestMemoryError, .refused(byteCount: 1 << 62, .outOfMemory))
        }
    }

    func testErrorsInWords() {
        let outOfBounds = GuestMemoryError.outOfBounds(address: GuestPhysicalAddress(0xfff8), byteCount: 16)
        XCTAssertEqual(outOfBounds.explanation, "There is no guest memory for 16 bytes at 0xfff8.")
        XCTAssertEqual(
            GuestMemoryError.refused(byteCount: 3 << 20, .outOfMemory).explanation,
            "The system refused 3 MiB of guest memory (ENOMEM).")
    }
}
