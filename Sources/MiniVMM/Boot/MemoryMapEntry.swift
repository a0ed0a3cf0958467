/// A line of the map that tells a Linux guest where its memory is, as e820 has it and PVH's start info too.
struct MemoryMapEntry: Hashable, Sendable {
    /// What a stretch of addresses is. The numbers are those of both formats.
    ///
    /// Source: ACPI specification, "System Address Map Interfaces"; Xen, public/arch-x86/hvm/start_info.h.
    enum Kind: UInt32, Sendable {
        /// Memory that the kernel may use.
        case usable = 1
        /// Nothing to use, nor to put devices at.
        case reserved = 2
    }

    /// The addresses.
    let range: Range<GuestPhysicalAddress>
    /// What they are.
    let kind: Kind

    /// Bytes.
    var size: UInt64 { range.upperBound.rawValue - range.lowerBound.rawValue }

    /// The map of a Linux guest's memory, as ``BootLayout/regions(memorySize:)`` lays it out.
    static func map(of memory: GuestMemory) -> [MemoryMapEntry] {
        let firstMegabyte = [
            MemoryMapEntry(range: GuestPhysicalAddress(0)..<BootLayout.conventionalMemoryEnd, kind: .usable),
            MemoryMapEntry(range: BootLayout.conventionalMemoryEnd..<BootLayout.baseMemoryEnd, kind: .reserved),
            MemoryMapEntry(range: BootLayout.acpiTables..<BootLayout.extendedMemory, kind: .reserved),
        ]
        let rest = memory.regions.compactMap { region -> MemoryMapEntry? in
            let start = max(region.start, BootLayout.extendedMemory)
            let end = GuestPhysicalAddress(region.end)
            return start < end ? MemoryMapEntry(range: start..<end, kind: .usable) : nil
        }
        return firstMegabyte + rest
    }
}
