@testable import TestSupport
import XCTest

@testable import Memory

/// The stretch of memory that a device shares with its guest.
final class GuestWindowTests: XCTestCase {
    private func makeMemory() throws -> GuestMemory {
        try GuestMemory(layout: [
            (GuestPhysicalAddress(0x1000), 0x1000), (GuestPhysicalAddress(0x2000), 0x1000),
            (GuestPhysicalAddress(0x8000), 0x1000), (GuestPhysicalAddress(0xffff_ffff_ffff_e000), 0x1000),
        ])
    }

    func testWindowsAtTheEdgesOfRegions() throws {
        let memory = try makeMemory()
        for region in memory.regions {
            for (offset, size): (UInt64, Int) in [(0, 1), (0, 0x1000), (0xfff, 1), (0xff0, 16)] {
                XCTAssertNoThrow(try GuestWindow(memory, at: region.start &+ offset, size: size))
            }
        }
    }

    /// As with any access, the regions that touch make no exception.
    func testWindowsThatDoNotLieInOneRegion() throws {
        let memory = try makeMemory()
        let cases: [(UInt64, Int)] = [
            (0xfff, 1), (0xfff, 2), (0x1fff, 2), (0x1000, 0x1001), (0x1000, 0x2000), (0x3000, 1), (0x2ff0, 17),
            (0x7fff, 2), (0x8001, 0x1000), (0x9000, 1), (0xffff_ffff_ffff_efff, 2), (0xffff_ffff_ffff_f000, 1),
            (.max, 1), (.max, .max), (0x1000, .max),
        ]
        for (address, size) in cases {
            let start = GuestPhysicalAddress(address)
            XCTAssertThrowsError(try GuestWindow(memory, at: start, size: size)) {
                XCTAssertEqual($0 as? GuestMemoryError, .outOfBounds(address: start, byteCount: UInt64(size)))
            }
        }
    }

    func testTheGuestSeesWhatTheDeviceWrites() throws {
        let memory = try makeMemory()
        let window = try GuestWindow(memory, at: GuestPhysicalAddress(0x8ff0), size: 16)
        window.withBytes(at: 14, count: 2) { $0.copyBytes(from: [0x12, 0x34]) }
        XCTAssertEqual(try memory.load(UInt32.self, at: GuestPhysicalAddress(0x8ffc)), 0x3412_0000)
        try memory.write([1, 2, 3], at: GuestPhysicalAddress(0x8fef))
        XCTAssertEqual(window.withBytes(at: 0, count: 3) { [UInt8]($0) }, [2, 3, 0])
        XCTAssertEqual(window.withBytes(at: 16, count: 0) { $0.count }, 0)
    }

    /// The memory outlives everything else that knew of it.
    func testAWindowKeepsTheMemory() throws {
        weak var memory: GuestMemory?
        let window = try {
            let made = try makeMemory()
            memory = made
            try made.store(UInt8(0x5a), at: GuestPhysicalAddress(0x2fff))
            return try GuestWindow(made, at: GuestPhysicalAddress(0x2fff), size: 1)
        }()
        XCTAssertNotNil(memory)
        XCTAssertEqual(window.withBytes(at: 0, count: 1) { $0[0] }, 0x5a)
    }
}
