@testable import TestSupport
import XCTest

@testable import Memory

/// Which linear addresses there are, what the control registers say of them, and reading through a walk.
final class LinearAddressTests: XCTestCase {
    /// Maps the first and the last byte of both halves that bit 47, or 56, makes: by pages of 1 GiB, in a table that
    /// serves all.
    private func halves(_ mode: PageWalk.Mode) throws -> TableChain {
        let chain = try TableChain(mode)
        let isFive = mode == .fiveLevel
        let (top, pointers): (UInt64, UInt64) = (chain.levels[0].table, 0x3000)
        for index: UInt64 in [0, 255, 256, 511] {
            let next = isFive ? 0x2000 : pointers
            try chain.memory.store(next | TableChain.present, at: GuestPhysicalAddress(top + index * 8))
        }
        for index: UInt64 in [0, 511] {
            if isFive {
                try chain.memory.store(pointers | TableChain.present, at: GuestPhysicalAddress(0x2000 + index * 8))
            }
            try chain.memory.store(
                TableChain.present | TableChain.pageSize | 0x4000_0000,
                at: GuestPhysicalAddress(pointers + index * 8))
        }
        return chain
    }

    /// Of an address that is not canonical a processor makes #GP, not a walk. Source: Intel SDM, volume 1, "Canonical
    /// addressing".
    func testCanonicalAddressesOf4Levels() throws {
        let chain = try halves(.fourLevel)
        XCTAssertEqual(chain.translate(0x0000_7fff_ffff_ffff), 0x7fff_ffff)
        XCTAssertEqual(chain.translate(0xffff_8000_0000_0000), 0x4000_0000)
        XCTAssertEqual(chain.translate(0), 0x4000_0000)
        XCTAssertEqual(chain.translate(.max), 0x7fff_ffff)
        let others: [UInt64] = [
            0x0000_8000_0000_0000, 0xffff_7fff_ffff_ffff, 0x0001_0000_0000_0000, 0xfffe_ffff_ffff_ffff,
            0x7fff_8000_0000_0000, 0x8000_0000_0000_0000, 0x00ff_ffff_ffff_ffff,
        ]
        for address in others {
            XCTAssertNil(chain.translate(address), "0x\(String(address, radix: 16))")
        }
    }

    func testCanonicalAddressesOf5Levels() throws {
        let chain = try halves(.fiveLevel)
        XCTAssertEqual(chain.translate(0x00ff_ffff_ffff_ffff), 0x7fff_ffff)
        XCTAssertEqual(chain.translate(0xff00_0000_0000_0000), 0x4000_0000)
        XCTAssertEqual(chain.translate(0), 0x4000_0000)
        XCTAssertEqual(chain.translate(.max), 0x7fff_ffff)
        for address: UInt64 in [
            0x0100_0000_0000_0000, 0xfeff_ffff_ffff_ffff, 0x0200_0000_0000_0000, 0x8000_0000_0000_0000,
        ] {
            XCTAssertNil(chain.translate(address), "0x\(String(address, radix: 16))")
        }
    }

    func testModes() {
        let (paging, pse, pae, la57): (UInt64, UInt64, UInt64, UInt64) = (1 << 31, 1 << 4, 1 << 5, 1 << 12)
        let (enabled, active): (UInt64, UInt64) = (1 << 8, 1 << 10)
        let cases: [(cr0: UInt64, cr4: UInt64, efer: UInt64, PageWalk.Mode)] = [
            (0, 0, 0, .none),
            (~paging, .max, .max, .none),
            (paging, 0, 0, .legacy(pageSizeExtensions: false)),
            (paging, pse, 0, .legacy(pageSizeExtensions: true)),
            (paging, ~(pae | pse), ~active, .legacy(pageSizeExtensions: false)),
            (paging, pae, 0, .pae),
            (paging, pae | pse | la57, enabled, .pae),
            (paging, pae, enabled | active, .fourLevel),
            (paging, ~la57, .max, .fourLevel),
            (paging, pae | la57, enabled | active, .fiveLevel),
        ]
        for (cr0, cr4, efer, mode) in cases {
            let walk = PageWalk(cr0: cr0, cr3: 0x1234_5678, cr4: cr4, efer: efer)
            XCTAssertEqual(walk, PageWalk(mode: mode, cr3: 0x1234_5678))
        }
    }

    /// Two neighbouring pages that are not neighbours in memory, and then none.
    func testBytesPageByPage() throws {
        for mode in TableChain.modes {
            let chain = try TableChain(mode)
            let last = try XCTUnwrap(chain.levels.last)
            try chain.setEntry(chain.levels.count - 1, 0x7000 | TableChain.present)
            let next = GuestPhysicalAddress(last.table + (last.index + 1) * (chain.isLegacy ? 4 : 8))
            try chain.memory.store(UInt32(0x0000 | TableChain.present), at: next)
            try chain.memory.write([1, 2], at: GuestPhysicalAddress(0x7ffe))
            try chain.memory.write([3, 4], at: GuestPhysicalAddress(0))
            try chain.memory.store(UInt8(5), at: GuestPhysicalAddress(0xfff))
            let end = chain.linear & ~0xfff + 4096
            let bytes = { chain.walk.bytes(at: $0, count: $1, in: chain.memory) }
            XCTAssertEqual(bytes(end - 2, 4), [1, 2, 3, 4], "\(mode)")
            XCTAssertEqual(bytes(end + 4095, 4), [5], "\(mode), as far as it is mapped")
            XCTAssertEqual(bytes(end + 4096, 4), [], "\(mode), not mapped")
            XCTAssertEqual(bytes(end, 0), [], "\(mode)")
            XCTAssertEqual(bytes(end, -1), [], "\(mode)")
        }
    }

    func testBytesEndWithMemory() throws {
        let chain = try TableChain(.none)
        try chain.memory.store(UInt8(6), at: GuestPhysicalAddress(TableChain.memoryEnd - 1))
        XCTAssertEqual(chain.walk.bytes(at: TableChain.memoryEnd - 1, count: 2, in: chain.memory), [6])
        let mapped = try TableChain(.fourLevel)
        XCTAssertEqual(mapped.walk.bytes(at: mapped.linear, count: 1, in: mapped.memory), [], "a page without memory")
    }

    /// Before the hole in the middle of the addresses, reading ends; it does not go on in the other half.
    func testBytesEndAtTheCanonicalHole() throws {
        let chain = try halves(.fourLevel)
        for index: UInt64 in [0, 511] {
            try chain.memory.store(0x4000 | TableChain.present, at: GuestPhysicalAddress(0x3000 + index * 8))
            try chain.memory.store(0x5000 | TableChain.present, at: GuestPhysicalAddress(0x4000 + index * 8))
            try chain.memory.store(0x6000 | TableChain.present, at: GuestPhysicalAddress(0x5000 + index * 8))
        }
        try chain.memory.write([7, 8], at: GuestPhysicalAddress(0x6ffe))
        XCTAssertEqual(chain.walk.bytes(at: 0x0000_7fff_ffff_fffe, count: 4, in: chain.memory), [7, 8])
    }
}
