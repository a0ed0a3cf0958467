import Memory

/// The section headers of an ELF kernel, and the sections that no segment loads, such as the symbols: with both a kernel
/// finds the names of its own functions.
///
/// Source: GNU, "Multiboot Specification version 0.6.96", "Boot information format", flags bit 5; "Multiboot2
/// Specification version 2.0", "ELF-Symbols". As GRUB has it, a section without an address is loaded where there is room,
/// and its header then tells where; the others keep the address that they are linked for.
struct MultibootSections: Hashable, Sendable {
    /// A section that is loaded beside the kernel.
    private struct Loose: Hashable {
        /// Where in the table its address stands.
        let addressOffset: Int
        /// Where its bytes stand in the file.
        let bytes: Range<UInt64>
        /// How far from the start of all of them it goes.
        let place: UInt64
    }

    /// How many there are.
    let count: UInt32
    /// The bytes of a header.
    let entrySize: UInt32
    /// Which section holds the names of all.
    let namesIndex: UInt32
    /// The headers as they stand in the file.
    private let table: [UInt8]
    private let loose: [Loose]
    private let isWide: Bool
    /// How many bytes the sections that are loaded take.
    let size: UInt64

    /// Reads the section headers of a file.
    ///
    /// - Returns: Nil when it has none, or they or a section do not lie inside the file.
    init?(_ file: ImageFile, _ format: ELFClass) {
        guard let all = try? ELFSection.all(in: file.bytes, format), !all.sections.isEmpty else { return nil }
        let entrySize = all.entrySize
        var loose: [Loose] = []
        var end: UInt64 = 0
        for (index, section) in all.sections.enumerated() {
            guard section.address == 0, section.size > 0, section.type != 0, section.type != ELFSection.zeros else {
                continue
            }
            let (bytesEnd, isPastAll) = section.offset.addingReportingOverflow(section.size)
            guard !isPastAll, bytesEnd <= file.size else { return nil }
            // What wants more than a page, or what is no power of 2, does without. No sum can pass 2^63: there are
            // fewer than 2^16 sections, each as large as a file that is in memory.
            let mask = Self.alignment(section.alignment) - 1
            let place = (end + mask) & ~mask
            loose.append(
                Loose(
                    addressOffset: index * Int(entrySize) + Int(format.sectionAddress),
                    bytes: section.offset..<bytesEnd, place: place))
            end = place + section.size
        }
        guard let table = file.bytes.part(at: all.offset, count: UInt64(all.sections.count) * entrySize) else {
            return nil
        }
        count = UInt32(all.sections.count)
        self.entrySize = UInt32(entrySize)
        namesIndex = UInt32(all.namesIndex)
        self.table = Array(table)
        self.loose = loose
        isWide = format == .wide
        size = end
    }

    private static func alignment(_ stated: UInt64) -> UInt64 {
        stated.nonzeroBitCount == 1 && stated <= GuestMemory.pageSize ? stated : 1
    }

    /// Loads the sections.
    ///
    /// - Parameter start: A page with room for ``size`` bytes.
    func load(_ file: ImageFile, into memory: GuestMemory, at start: GuestPhysicalAddress) throws(ImageError) {
        for section in loose { try file.load(section.bytes, into: memory, at: start &+ section.place) }
    }

    /// The headers, with the address of each section that was loaded.
    func table(at start: GuestPhysicalAddress) -> [UInt8] {
        var table = table
        for section in loose {
            let address = (start &+ section.place).rawValue
            for byte in 0..<(isWide ? 8 : 4) {
                table[section.addressOffset + byte] = UInt8(truncatingIfNeeded: address >> UInt64(8 * byte))
            }
        }
        return table
    }
}
