/// A section header of an ELF file. Nothing that it says is checked yet.
///
/// Source: System V ABI, "Section Header".
struct ELFSection: Hashable, Sendable {
    /// What the section holds (`sh_type`).
    let type: UInt32
    /// Its flags (`sh_flags`).
    let flags: UInt64
    /// Its address, as the file is linked; 0 for what is not loaded.
    let address: UInt64
    /// Where its bytes stand in the file.
    let offset: UInt64
    /// How many bytes it has.
    let size: UInt64
    /// Another section that it refers to, such as the names of its symbols.
    let link: UInt32
    /// Of what its address is a multiple.
    let alignment: UInt64

    /// A symbol table (SHT_SYMTAB).
    static let symbols: UInt32 = 2
    /// Zeros, of which the file has no bytes (SHT_NOBITS).
    static let zeros: UInt32 = 8
    /// The dynamic loader's symbol table (SHT_DYNSYM).
    static let dynamicSymbols: UInt32 = 11
    /// SHF_EXECINSTR.
    static let executable: UInt64 = 4

    /// The table of all sections of a file.
    struct Table: Hashable, Sendable {
        /// Where it stands in the file.
        let offset: UInt64
        /// The bytes of an entry.
        let entrySize: UInt64
        /// Which section holds the sections' names.
        let namesIndex: UInt16
        /// Its entries; none where the file has no sections.
        let sections: [ELFSection]
    }

    /// Kernels have about a hundred; with a section for each function, tens of thousands. From here on numbers of
    /// sections mean something else.
    private static let maximumCount: UInt16 = 0xff00

    /// Reads all section headers of a file with the least significant byte first.
    ///
    /// - Throws: ``ELFDamage`` when they do not all lie inside the file.
    static func all(in bytes: [UInt8], _ format: ELFClass) throws(ELFDamage) -> Table {
        guard let start = format.word(bytes, at: format.sectionTableOffset),
            let entrySize = bytes.integer(UInt16.self, at: format.sectionSizeOffset),
            let count = bytes.integer(UInt16.self, at: format.sectionSizeOffset + 2),
            let names = bytes.integer(UInt16.self, at: format.sectionSizeOffset + 4)
        else { throw ELFDamage(problem: "it ends inside its header") }
        let size = format.sectionSize
        guard start > 0, count > 0 else { return Table(offset: 0, entrySize: size, namesIndex: 0, sections: []) }
        guard count < maximumCount, UInt64(entrySize) == size,
            bytes.part(at: start, count: UInt64(count) * size) != nil
        else { throw ELFDamage(problem: "its section headers lie outside the file") }
        // The sums stay inside the table, which lies inside the file.
        let sections = (0..<UInt64(count)).compactMap { ELFSection(bytes, at: start + $0 * size, format) }
        return Table(offset: start, entrySize: size, namesIndex: names, sections: sections)
    }

    private init?(_ bytes: [UInt8], at start: UInt64, _ format: ELFClass) {
        // A type of 4 bytes stands behind the name; from the flags on all but the link are words.
        func word(_ number: UInt64) -> UInt64? { format.word(bytes, at: start + 8 + number * format.wordSize) }
        guard let type = bytes.integer(UInt32.self, at: start + 4),
            let flags = word(0), let address = word(1), let offset = word(2), let size = word(3),
            let link = bytes.integer(UInt32.self, at: start + 8 + 4 * format.wordSize),
            let alignment = format.word(bytes, at: start + 16 + 4 * format.wordSize)
        else { return nil }
        self.type = type
        self.flags = flags
        self.address = address
        self.offset = offset
        self.size = size
        self.link = link
        self.alignment = alignment
    }
}

extension ELFClass {
    /// Where the header says where the section headers stand.
    fileprivate var sectionTableOffset: UInt64 { wordSize == 8 ? 40 : 32 }
    /// Where it says their size; how many there are and which one holds the names stand behind it.
    fileprivate var sectionSizeOffset: UInt64 { wordSize == 8 ? 58 : 46 }
    /// The bytes of a section header.
    fileprivate var sectionSize: UInt64 { wordSize == 8 ? 64 : 40 }
    /// Where in a section header the address stands.
    var sectionAddress: UInt64 { 8 + wordSize }
}
