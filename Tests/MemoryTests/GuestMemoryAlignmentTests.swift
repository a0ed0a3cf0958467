@testable import Memory
@testable import TestSupport
import XCTest

/// Where guest memory lies in the host's.
final class GuestMemoryAlignmentTests: XCTestCase {
    private static let largePage: UInt64 = 2 << 20

    /// KVM can map a guest's large pages only there.
    func testLargeMemoryLiesAtLargePages() throws {
        for size: UInt64 in [64 << 20, 64 << 20 + 4096, 512 << 20] {
            // Several, so that none lies there by accident.
            let memories = try (0..<8).map { _ in
                try GuestMemory(layout: [
                    (GuestPhysicalAddress(0), size), (GuestPhysicalAddress(4 << 30), Self.largePage),
                ])
            }
            for memory in memories {
                let address = UInt64(UInt(bitPattern: memory.regions[0].hostAddress))
                XCTAssertEqual(address % Self.largePage, 0)
                // All of it is there, and nothing of the next one's.
                for region in memory.regions {
                    let last = region.start &+ (region.size - 8)
                    XCTAssertEqual(try memory.load(UInt64.self, at: last), 0)
                    try memory.store(last.rawValue, at: last)
                }
            }
            for memory in memories {
                let last = memory.regions[0].start &+ (size - 8)
                XCTAssertEqual(try memory.load(UInt64.self, at: last), last.rawValue)
            }
        }
    }
}
