/// Finds the place of the initrd: as high as possible, so that the kernel has its lower memory in one piece.
struct InitrdPlacement {
    /// The end of the kernel, below which nothing may go.
    let kernelEnd: GuestPhysicalAddress
    /// The address before which the kernel says that the initrd must end.
    let limit: GuestPhysicalAddress
    /// Whether the kernel also takes an initrd beyond that limit.
    let canUseHighMemory: Bool

    /// Where an initrd starts: on a page, above the kernel, in memory.
    ///
    /// - Parameter size: Bytes.
    /// - Returns: Nil when there is no such place.
    func address(size: UInt64, in memory: GuestMemory) -> GuestPhysicalAddress? {
        for limit in canUseHighMemory ? [limit.rawValue, UInt64.max] : [limit.rawValue] {
            for region in memory.regions {
                if let address = address(size: size, in: region, below: limit) { return address }
            }
        }
        return nil
    }

    private func address(size: UInt64, in region: GuestMemory.Region, below limit: UInt64) -> GuestPhysicalAddress? {
        let end = min(region.end, limit)
        guard end >= size else { return nil }
        let address = GuestPhysicalAddress((end - size) & ~Self.pageMask)
        return address >= max(region.start, kernelEnd) ? address : nil
    }

    private static let pageMask = GuestMemory.pageSize - 1

    /// Writes the initrd, and returns its addresses.
    ///
    /// - Throws: ``ImageError/needsMoreMemory(path:upTo:end:)`` when there is no place for it.
    func load(_ initrd: ImageFile, into memory: GuestMemory) throws(ImageError) -> Range<GuestPhysicalAddress> {
        let size = UInt64(initrd.bytes.count)
        guard let address = address(size: size, in: memory) else {
            let lowest = GuestPhysicalAddress((kernelEnd.rawValue &+ Self.pageMask) & ~Self.pageMask)
            let lowEnd = GuestPhysicalAddress(memory.regions.first?.end ?? 0)
            throw .needsMoreMemory(path: initrd.path, upTo: lowest &+ size, end: min(limit, lowEnd))
        }
        try ImageError.loading(initrd.path) { () throws(GuestMemoryError) in
            try memory.write(initrd.bytes, at: address)
        }
        return address..<(address &+ size)
    }
}
