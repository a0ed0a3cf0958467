import CKVM

/// Segment registers, loaded out of a guest's descriptor tables. Source: Intel SDM, volume 3, "Segment descriptors".
enum GuestDescriptor {
    private static let size: UInt64 = 8
    /// Selector bit 2: the local table in place of the global one.
    private static let localTable: UInt16 = 1 << 2

    /// What a segment register holds after a selector was loaded into it.
    ///
    /// - Returns: nil when the selector is null, outside its table, not mapped, not present, or a system segment's.
    static func segment(
        for selector: UInt16, special: kvm_sregs, walk: PageWalk, memory: GuestMemory
    ) -> kvm_segment? {
        guard let entry = entry(for: selector, special: special, walk: walk, memory: memory) else { return nil }
        var segment = kvm_segment()
        segment.selector = selector
        segment.base = entry >> 16 & 0xff_ffff | (entry >> 56 & 0xff) << 24
        let isGranular = entry >> 55 & 1 == 1
        let limit = UInt32(truncatingIfNeeded: entry & 0xffff | (entry >> 48 & 0xf) << 16)
        segment.limit = isGranular ? limit << 12 | 0xfff : limit
        // The processor sets "accessed" when it loads the register.
        segment.type = UInt8(truncatingIfNeeded: entry >> 40 & 0xf) | 1
        segment.s = UInt8(truncatingIfNeeded: entry >> 44 & 1)
        segment.dpl = UInt8(truncatingIfNeeded: entry >> 45 & 3)
        segment.present = UInt8(truncatingIfNeeded: entry >> 47 & 1)
        segment.avl = UInt8(truncatingIfNeeded: entry >> 52 & 1)
        segment.l = UInt8(truncatingIfNeeded: entry >> 53 & 1)
        segment.db = UInt8(truncatingIfNeeded: entry >> 54 & 1)
        segment.g = isGranular ? 1 : 0
        guard segment.present == 1, segment.s == 1 else { return nil }
        return segment
    }

    private static func entry(
        for selector: UInt16, special: kvm_sregs, walk: PageWalk, memory: GuestMemory
    ) -> UInt64? {
        let index = UInt64(selector & ~7)
        let isLocal = selector & localTable != 0
        guard isLocal || index != 0 else { return nil }
        let base = isLocal ? special.ldt.base : special.gdt.base
        let limit = isLocal ? UInt64(special.ldt.limit) : UInt64(special.gdt.limit)
        guard index + size - 1 <= limit, let address = walk.translate(base &+ index, in: memory) else { return nil }
        return try? memory.load(UInt64.self, at: address)
    }
}
