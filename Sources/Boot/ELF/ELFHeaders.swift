/// What is wrong with an ELF file, as a sentence without its full stop.
package struct ELFDamage: Error, Hashable {
    package let problem: String

    package init(problem: String) {
        self.problem = problem
    }
}

/// A program header of an ELF file. Nothing that it says is checked yet.
///
/// Source: System V ABI, "Program Header".
package struct ELFProgramHeader: Hashable, Sendable {
    /// What the segment is for (`p_type`).
    package let type: UInt32
    /// Whether it holds code (PF_X).
    package let isExecutable: Bool
    /// Where its bytes stand in the file.
    package let fileOffset: UInt64
    /// Where it goes in a program's address space.
    package let virtualAddress: UInt64
    /// Where it goes in physical memory.
    package let physicalAddress: UInt64
    /// How many bytes the file has of it.
    package let fileSize: UInt64
    /// How many bytes it takes in memory.
    package let memorySize: UInt64

    /// What is to be loaded.
    package static let load: UInt32 = 1
    /// The dynamic section.
    package static let dynamic: UInt32 = 2
    /// The name of the interpreter.
    package static let interpreter: UInt32 = 3
    /// Notes.
    package static let note: UInt32 = 4

    /// Reads all program headers of a file with the least significant byte first.
    ///
    /// - Parameters:
    ///   - bytes: The file.
    ///   - format: Whether it has 32 or 64 bits.
    ///   - maximumCount: How many there may be, so that a hostile file costs no time.
    /// - Throws: ``ELFDamage`` when they do not all lie inside the file.
    package static func all(
        in bytes: [UInt8], _ format: ELFClass, maximumCount: UInt16
    ) throws(ELFDamage) -> [ELFProgramHeader] {
        guard let tableOffset = format.word(bytes, at: format.tableOffset),
            let entrySize = bytes.integer(UInt16.self, at: format.entrySizeOffset),
            let count = bytes.integer(UInt16.self, at: format.entryCountOffset)
        else { throw ELFDamage(problem: "it ends inside its header") }
        guard count <= maximumCount, count == 0 || UInt64(entrySize) == format.entrySize
        else { throw ELFDamage(problem: "it states \(count) program headers of \(entrySize) bytes each") }
        guard let table = bytes.part(at: tableOffset, count: UInt64(count) * format.entrySize)
        else { throw ELFDamage(problem: "its program headers lie outside the file") }
        var headers: [ELFProgramHeader] = []
        // The sums stay inside the table, which lies inside the file.
        for start in stride(from: UInt64(table.startIndex), to: UInt64(table.endIndex), by: Int(format.entrySize)) {
            guard let header = ELFProgramHeader(bytes, at: start, format)
            else { throw ELFDamage(problem: "its program headers lie outside the file") }
            headers.append(header)
        }
        return headers
    }

    private init?(_ bytes: [UInt8], at start: UInt64, _ format: ELFClass) {
        guard let type = bytes.integer(UInt32.self, at: start),
            let flags = bytes.integer(UInt32.self, at: start + format.flags),
            let fileOffset = format.word(bytes, at: start + format.fileOffset),
            let virtualAddress = format.word(bytes, at: start + format.virtualAddress),
            let physicalAddress = format.word(bytes, at: start + format.physicalAddress),
            let fileSize = format.word(bytes, at: start + format.fileSize),
            let memorySize = format.word(bytes, at: start + format.memorySize)
        else { return nil }
        self.type = type
        isExecutable = flags & 1 != 0
        self.fileOffset = fileOffset
        self.virtualAddress = virtualAddress
        self.physicalAddress = physicalAddress
        self.fileSize = fileSize
        self.memorySize = memorySize
    }
}

/// Where the fields of an ELF file stand, which differs between 32 and 64 bits.
///
/// Source: System V ABI, "ELF Header", "Program Header", "Dynamic Section".
package struct ELFClass: Hashable, Sendable {
    /// The bytes of an address, an offset or a size.
    package let wordSize: UInt64

    /// The header: where the program is entered, where the program headers stand, the size of each, and how many there
    /// are.
    let entry: UInt64 = 24
    let tableOffset: UInt64
    let entrySizeOffset: UInt64
    let entryCountOffset: UInt64

    /// A program header: its size, and what stands where. The type comes first.
    let entrySize: UInt64
    let flags: UInt64
    let fileOffset: UInt64
    let virtualAddress: UInt64
    let physicalAddress: UInt64
    let fileSize: UInt64
    let memorySize: UInt64

    /// For machines with addresses of 64 bits.
    package static let wide = ELFClass(
        wordSize: 8,
        tableOffset: 32, entrySizeOffset: 54, entryCountOffset: 56,
        entrySize: 56, flags: 4, fileOffset: 8, virtualAddress: 16, physicalAddress: 24, fileSize: 32, memorySize: 40
    )

    /// For machines with addresses of 32 bits.
    package static let narrow = ELFClass(
        wordSize: 4,
        tableOffset: 28, entrySizeOffset: 42, entryCountOffset: 44,
        entrySize: 32, flags: 24, fileOffset: 4, virtualAddress: 8, physicalAddress: 12, fileSize: 16, memorySize: 20
    )

    /// The address, offset or size that stands somewhere in a file.
    package func word(_ bytes: [UInt8], at offset: UInt64) -> UInt64? {
        wordSize == 8 ? bytes.integer(UInt64.self, at: offset) : bytes.integer(UInt32.self, at: offset).map(UInt64.init)
    }
}
