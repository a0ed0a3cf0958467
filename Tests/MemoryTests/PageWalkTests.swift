@testable import TestSupport
import XCTest

@testable import Memory

/// What the walks of all modes have in common.
final class PageWalkTests: XCTestCase {
    func testWithoutPagingNothingIsLookedUp() throws {
        let memory = try GuestMemory(layout: [(GuestPhysicalAddress(0), 4096)])
        let walk = PageWalk(mode: .none, cr3: 0xdead_f000)
        for address: UInt64 in [0, 42, 4095, 4096, 0xffff_ffff] {
            XCTAssertEqual(walk.translate(address, in: memory)?.rawValue, address)
        }
    }

    func testSmallPage() throws {
        for mode in TableChain.modes {
            XCTAssertEqual(try TableChain(mode).translate(), 0x9abc_def5, "\(mode)")
        }
    }

    /// The neighbours of every entry of the chain are not present.
    func testOtherIndices() throws {
        for mode in TableChain.modes {
            let chain = try TableChain(mode)
            for level in chain.levels {
                XCTAssertNil(chain.translate(chain.linear ^ 1 << level.shift), "\(mode), bit \(level.shift)")
            }
            XCTAssertEqual(chain.translate(chain.linear ^ 0xfff), 0x9abc_d10a, "\(mode), another byte of the page")
        }
    }

    func testNotPresent() throws {
        for mode in TableChain.modes {
            for level in try TableChain(mode).levels.indices {
                let chain = try TableChain(mode)
                try chain.setEntry(level, chain.entry(level) & ~TableChain.present)
                XCTAssertNil(chain.translate(), "\(mode), level \(level)")
                try chain.setEntry(level, ~TableChain.present)
                XCTAssertNil(chain.translate(), "\(mode), level \(level), all bits but P")
                try chain.setEntry(level, 0)
                XCTAssertNil(chain.translate(), "\(mode), level \(level), no bit")
            }
        }
    }

    func testTableOutsideMemory() throws {
        for mode in TableChain.modes {
            var chain = try TableChain(mode)
            for level in chain.levels.indices.dropLast() {
                let entry = try chain.entry(level)
                try chain.setEntry(level, TableChain.memoryEnd | TableChain.present)
                XCTAssertNil(chain.translate(), "\(mode), level \(level)")
                try chain.setEntry(level, 0xffff_f000 | TableChain.present)
                XCTAssertNil(chain.translate(), "\(mode), level \(level), at the end of 4 GiB")
                try chain.setEntry(level, entry)
            }
            for cr3 in [TableChain.memoryEnd, 0xffff_ffe0] {
                chain.cr3 = cr3
                XCTAssertNil(chain.translate(), "\(mode), CR3 \(cr3)")
            }
        }
    }

    /// One entry, the last of memory, is that of all levels, and maps the page it is in.
    func testTableAtTheEndOfMemory() throws {
        let page = TableChain.memoryEnd - 4096
        for mode in TableChain.modes {
            var chain = try TableChain(mode)
            chain.cr3 = mode == .pae ? TableChain.memoryEnd - 32 : page
            if chain.isLegacy {
                try chain.memory.store(UInt32(page | TableChain.present), at: GuestPhysicalAddress(page + 4092))
            } else {
                try chain.memory.store(page | TableChain.present, at: GuestPhysicalAddress(page + 4088))
            }
            XCTAssertEqual(chain.translate(.max), TableChain.memoryEnd - 1, "\(mode)")
            XCTAssertEqual(chain.translate(0xffff_ffff_ffff_f000), page, "\(mode)")
            XCTAssertNil(chain.translate(0xffff_ffff_ffff_efff), "\(mode), the entry before")
        }
    }

    /// Rights and reserved bits are the processor's business: a walk follows presence and size.
    func testRightsAndReservedBits() throws {
        for mode in TableChain.modes {
            let chain = try TableChain(mode)
            for level in chain.levels.indices {
                // Bits 6:1 and 11:8: rights, caching, accessed, dirty, global, ignored. Bits 63:52: ignored, reserved,
                // protection key, execute-disable.
                try chain.setEntry(level, chain.entry(level) | 0xfff0_0000_0000_0f7e)
            }
            XCTAssertEqual(chain.translate(), 0x9abc_def5, "\(mode)")
        }
    }

    /// Bits of CR3 beside the table's address: caching and PCID below, LAM above.
    func testCR3Flags() throws {
        for mode in TableChain.modes {
            var chain = try TableChain(mode)
            chain.cr3 |= 0x6000_0000_0000_0000 | (mode == .pae ? 0x1f : 0xfff)
            XCTAssertEqual(chain.translate(), 0x9abc_def5, "\(mode)")
        }
    }

    /// 32-bit linear addresses, and 32-bit CR3s.
    func testUpperHalvesOf32BitModes() throws {
        for mode in TableChain.modes.prefix(3) {
            var chain = try TableChain(mode)
            XCTAssertEqual(chain.translate(chain.linear | 0xdead_beef << 32), 0x9abc_def5, "\(mode)")
            chain.cr3 |= 0xdead_beef << 32
            XCTAssertEqual(chain.translate(), 0x9abc_def5, "\(mode)")
        }
    }
}
