import Memory
@testable import TestSupport

/// Page tables in guest memory, one table a level: what a walk to one linear address runs through.
///
/// Every level has an index and a page of its own, so that a walk that mixes two levels up ends elsewhere.
struct TableChain {
    /// A level of the tables.
    struct Level {
        /// The lowest bit of a linear address that belongs to the level's index.
        let shift: UInt64
        /// The index that the chain's linear address has at this level.
        let index: UInt64
        /// Where the table is.
        let table: UInt64
    }

    /// Bit 0 of an entry.
    static let present: UInt64 = 1 << 0
    /// Bit 7 of an entry: a page ends here.
    static let pageSize: UInt64 = 1 << 7
    /// The page at the end of the chain. It has no memory, which a walk need not care about.
    static let frame: UInt64 = 0x9abc_d000
    /// The address after the last of memory.
    static let memoryEnd: UInt64 = 0x8000

    /// All modes that have tables.
    static let modes: [PageWalk.Mode] = [
        .legacy(pageSizeExtensions: false), .legacy(pageSizeExtensions: true), .pae, .fourLevel, .fiveLevel,
    ]

    let mode: PageWalk.Mode
    /// The levels, from CR3's down to that of 4 KiB pages.
    let levels: [Level]
    /// Memory from address 0 on.
    let memory: GuestMemory
    /// What the walk starts with.
    var cr3: UInt64
    /// The address that runs through all the levels, to byte 0xef5 of the page.
    let linear: UInt64

    /// Writes the tables, in which nothing but the chain is present.
    init(_ mode: PageWalk.Mode) throws {
        self.mode = mode
        levels = Self.levels(of: mode)
        memory = try GuestMemory(layout: [(GuestPhysicalAddress(0), Self.memoryEnd)])
        cr3 = levels.first?.table ?? 0
        linear = levels.reduce(0xef5) { $0 | $1.index << $1.shift }
        for level in levels.indices {
            let next = level + 1 < levels.count ? levels[level + 1].table : Self.frame
            try setEntry(level, next | Self.present)
        }
    }

    private static func levels(of mode: PageWalk.Mode) -> [Level] {
        let long = [
            Level(shift: 48, index: 0x0a1, table: 0x1000),
            Level(shift: 39, index: 0x0b2, table: 0x2000),
            Level(shift: 30, index: 0x0c3, table: 0x3000),
            Level(shift: 21, index: 0x1d4, table: 0x4000),
            Level(shift: 12, index: 0x1e5, table: 0x5000),
        ]
        return switch mode {
        case .none: []
        case .legacy:
            [Level(shift: 22, index: 0x2a1, table: 0x1000), Level(shift: 12, index: 0x3b2, table: 0x2000)]
        case .pae: [Level(shift: 30, index: 2, table: 0x3fe0)] + long.suffix(2).map(Self.movedUp)
        case .fourLevel: long.suffix(4)
        case .fiveLevel: long
        }
    }

    /// The same level two pages further on, out of the way of PAE's first table.
    private static func movedUp(_ level: Level) -> Level {
        Level(shift: level.shift, index: level.index, table: level.table + 0x2000)
    }

    /// Whether entries have four bytes, not eight.
    var isLegacy: Bool { if case .legacy = mode { true } else { false } }

    /// The entry of a level that the chain runs through.
    func entry(_ level: Int) throws -> UInt64 {
        let address = GuestPhysicalAddress(levels[level].table + levels[level].index * (isLegacy ? 4 : 8))
        return isLegacy ? UInt64(try memory.load(UInt32.self, at: address)) : try memory.load(at: address)
    }

    /// Replaces that entry.
    func setEntry(_ level: Int, _ entry: UInt64) throws {
        let address = GuestPhysicalAddress(levels[level].table + levels[level].index * (isLegacy ? 4 : 8))
        if isLegacy {
            try memory.store(UInt32(truncatingIfNeeded: entry), at: address)
        } else {
            try memory.store(entry, at: address)
        }
    }

    /// The walk in the chain's mode from its CR3.
    var walk: PageWalk { PageWalk(mode: mode, cr3: cr3) }

    /// Where the walk ends up with the chain's address, or another.
    func translate(_ linear: UInt64? = nil) -> UInt64? {
        walk.translate(linear ?? self.linear, in: memory)?.rawValue
    }
}
