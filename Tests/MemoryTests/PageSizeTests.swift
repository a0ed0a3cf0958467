@testable import TestSupport
import XCTest

@testable import Memory

/// Where bit 7 of an entry ends a walk, and where it does not.
final class PageSizeTests: XCTestCase {
    private static let flags = TableChain.present | TableChain.pageSize

    /// The number of a mode's level whose index starts at the given bit.
    private func level(_ chain: TableChain, _ shift: UInt64) throws -> Int {
        try XCTUnwrap(chain.levels.firstIndex { $0.shift == shift })
    }

    func test4MiB() throws {
        let chain = try TableChain(.legacy(pageSizeExtensions: true))
        try chain.setEntry(0, 0x9a80_0000 | Self.flags)
        // Index 0x3b2 of the table that is not there, and the offset in the page, make 22 bits.
        XCTAssertEqual(chain.translate(), 0x9abb_2ef5)
        XCTAssertEqual(chain.translate(0x2a1 << 22), 0x9a80_0000)
        XCTAssertEqual(chain.translate(0x2a1 << 22 | 0x3f_ffff), 0x9abf_ffff)
        XCTAssertNil(chain.translate(0x2a2 << 22), "the page after")
        XCTAssertNil(chain.translate(0x2a1 << 22 - 1), "the page before")
    }

    /// Bits 20:13 of the entry are bits 39:32 of the page's address; bit 12 is PAT, bit 21 is reserved.
    func testPSE36() throws {
        let chain = try TableChain(.legacy(pageSizeExtensions: true))
        for (bits, high): (UInt64, UInt64) in [(0x1 << 13, 0x01), (0x80 << 13, 0x80), (0xa5 << 13, 0xa5)] {
            try chain.setEntry(0, 0x9a80_0000 | bits | Self.flags)
            XCTAssertEqual(chain.translate(), high << 32 | 0x9abb_2ef5)
        }
        try chain.setEntry(0, 0x9a80_0000 | 1 << 12 | 1 << 21 | Self.flags)
        XCTAssertEqual(chain.translate(), 0x9abb_2ef5)
        try chain.setEntry(0, 0xffff_ffff)
        XCTAssertEqual(chain.translate(0x2a1 << 22 | 0x3f_ffff), 0xff_ffff_ffff, "the last byte of all")
    }

    /// Without CR4.PSE bit 7 means nothing.
    func testNo4MiBPagesWithoutPSE() throws {
        let chain = try TableChain(.legacy(pageSizeExtensions: false))
        try chain.setEntry(0, chain.entry(0) | TableChain.pageSize)
        XCTAssertEqual(chain.translate(), 0x9abc_def5)
    }

    func test2MiB() throws {
        for mode: PageWalk.Mode in [.pae, .fourLevel, .fiveLevel] {
            let chain = try TableChain(mode)
            let directory = try level(chain, 21)
            try chain.setEntry(directory, 0x12_3460_0000 | Self.flags)
            XCTAssertEqual(chain.translate(), 0x12_347e_5ef5, "\(mode)")
            XCTAssertEqual(chain.translate(chain.linear | 0x1f_ffff), 0x12_347f_ffff, "\(mode)")
            XCTAssertEqual(chain.translate(chain.linear & ~0x1f_ffff), 0x12_3460_0000, "\(mode)")
            XCTAssertNil(chain.translate(chain.linear + 0x20_0000), "\(mode)")
            // PAT in bit 12, and reserved bits up to bit 20.
            try chain.setEntry(directory, 0xfff0_0012_347f_ffff)
            XCTAssertEqual(chain.translate(), 0x12_347e_5ef5, "\(mode)")
        }
    }

    func test1GiB() throws {
        for mode: PageWalk.Mode in [.fourLevel, .fiveLevel] {
            let chain = try TableChain(mode)
            let pointers = try level(chain, 30)
            try chain.setEntry(pointers, 0x12_4000_0000 | Self.flags)
            XCTAssertEqual(chain.translate(), 0x12_7a9e_5ef5, "\(mode)")
            XCTAssertEqual(chain.translate(chain.linear | 0x3fff_ffff), 0x12_7fff_ffff, "\(mode)")
            XCTAssertEqual(chain.translate(chain.linear & ~0x3fff_ffff), 0x12_4000_0000, "\(mode)")
            XCTAssertNil(chain.translate(chain.linear + 0x4000_0000), "\(mode)")
            // PAT in bit 12, and reserved bits up to bit 29.
            try chain.setEntry(pointers, 0xfff0_0012_7fff_ffff)
            XCTAssertEqual(chain.translate(), 0x12_7a9e_5ef5, "\(mode)")
        }
    }

    /// The levels of 512 GiB and 256 TiB, and PAE's first, have no pages; in an entry of 4 KiB it is PAT.
    func testBit7AtOtherLevels() throws {
        let cases: [(PageWalk.Mode, [UInt64])] = [
            (.legacy(pageSizeExtensions: true), [12]), (.pae, [30, 12]), (.fourLevel, [39, 12]),
            (.fiveLevel, [48, 39, 12]),
        ]
        for (mode, shifts) in cases {
            let chain = try TableChain(mode)
            for shift in shifts {
                let level = try level(chain, shift)
                try chain.setEntry(level, chain.entry(level) | TableChain.pageSize)
                XCTAssertEqual(chain.translate(), 0x9abc_def5, "\(mode), bit \(shift)")
            }
        }
    }

    /// Bits 51:12 of an entry of eight bytes are an address.
    func testPhysicalAddressesOf52Bits() throws {
        for mode: PageWalk.Mode in [.pae, .fourLevel, .fiveLevel] {
            let chain = try TableChain(mode)
            let table = try level(chain, 12)
            try chain.setEntry(table, .max)
            XCTAssertEqual(chain.translate(), 0x000f_ffff_ffff_fef5, "\(mode)")
            try chain.setEntry(table - 1, 0x000f_ffff_ffff_f000 | TableChain.present)
            XCTAssertNil(chain.translate(), "\(mode), a table at the end of what can be addressed")
        }
    }
}
