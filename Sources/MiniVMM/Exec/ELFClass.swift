/// Where the fields of an ELF file stand, which differs between 32 and 64 bits.
///
/// Source: System V ABI, "ELF Header", "Program Header", "Dynamic Section".
struct ELFClass: Hashable, Sendable {
    /// The bytes of an address, an offset or a size.
    let wordSize: UInt64

    /// The header: where the program headers stand, the size of each, and how many there are.
    let tableOffset: UInt64
    let entrySizeOffset: UInt64
    let entryCountOffset: UInt64

    /// A program header: its size, and what stands where. The type comes first.
    let entrySize: UInt64
    let fileOffset: UInt64
    let address: UInt64
    let fileSize: UInt64

    /// For machines with addresses of 64 bits.
    static let wide = ELFClass(
        wordSize: 8,
        tableOffset: 32, entrySizeOffset: 54, entryCountOffset: 56,
        entrySize: 56, fileOffset: 8, address: 16, fileSize: 32
    )

    /// For machines with addresses of 32 bits.
    static let narrow = ELFClass(
        wordSize: 4,
        tableOffset: 28, entrySizeOffset: 42, entryCountOffset: 44,
        entrySize: 32, fileOffset: 4, address: 8, fileSize: 16
    )

    /// The address, offset or size that stands somewhere in a file.
    func word(_ bytes: [UInt8], at offset: UInt64) -> UInt64? {
        wordSize == 8 ? bytes.integer(UInt64.self, at: offset) : bytes.integer(UInt32.self, at: offset).map(UInt64.init)
    }
}
