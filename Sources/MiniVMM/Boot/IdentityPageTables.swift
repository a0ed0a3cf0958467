/// Page tables in which every linear address below 4 GiB is its own physical address, in pages of 2 MiB.
///
/// Source: Intel SDM, volume 3, "4-Level Paging".
enum IdentityPageTables {
    private static let present: UInt64 = 1 << 0
    private static let writable: UInt64 = 1 << 1
    private static let pageSize: UInt64 = 1 << 7
    private static let entriesPerTable: UInt64 = 512
    private static let largePageSize: UInt64 = 2 << 20
    /// One page directory for each GiB.
    private static let directoryCount: UInt64 = 4

    /// Writes the tables, and returns what goes into CR3.
    static func write(to memory: GuestMemory) throws(GuestMemoryError) -> UInt64 {
        try memory.write(bytes, at: BootLayout.pageTables)
        return BootLayout.pageTables.rawValue
    }

    /// The pages one after the other: the top level, the one below it, and the page directories.
    private static let bytes: [UInt8] = {
        let top = BootLayout.pageTables.rawValue
        let pointers = top + GuestMemory.pageSize
        let directories = pointers + GuestMemory.pageSize
        var entries: [UInt64] = [pointers | present | writable]
        entries += [UInt64](repeating: 0, count: Int(entriesPerTable) - 1)
        entries += (0..<directoryCount).map { (directories + $0 * GuestMemory.pageSize) | present | writable }
        entries += [UInt64](repeating: 0, count: Int(entriesPerTable - directoryCount))
        entries += (0..<directoryCount * entriesPerTable).map { $0 * largePageSize | present | writable | pageSize }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * MemoryLayout<UInt64>.size)
        for entry in entries { bytes.append(integer: entry) }
        return bytes
    }()
}
