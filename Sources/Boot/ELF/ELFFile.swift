import Memory

/// The program headers of an ELF file for x86, checked against the file.
///
/// Source: System V ABI, "ELF Header", "Program Header", "Note Section".
struct ELFFile: Sendable {
    /// A program header whose bytes lie inside the file.
    package struct Segment: Sendable {
        /// Where the bytes stand in the file.
        package let fileOffset: UInt64
        /// How many bytes the file has of the segment.
        package let fileSize: UInt64
        /// Where the segment stands in the kernel's own address space.
        let virtualAddress: UInt64
        /// Whether it holds code.
        let isExecutable: Bool
        /// Where the segment goes in physical memory.
        let physicalAddress: UInt64
        /// How many bytes it takes there; what the file has no bytes for is zero.
        package let memorySize: UInt64

        /// Where the segment ends in physical memory. The sum was checked when the segment was read.
        var physicalEnd: UInt64 { physicalAddress &+ memorySize }
    }

    /// What is to be loaded (PT_LOAD), ascending by physical address, without overlaps.
    let loadable: [Segment]
    /// The notes (PT_NOTE).
    package let notes: [Segment]

    /// Reads the headers of a file that ``ELFIdentity`` says is for x86-64, or for x86 where the format is narrow. They
    /// stand in the bytes that are in memory.
    init(_ file: ImageFile, _ format: ELFClass = .wide) throws(ELFDamage) {
        var loadable: [Segment] = []
        var notes: [Segment] = []
        for header in try ELFProgramHeader.all(in: file.bytes, format, maximumCount: Self.maximumHeaderCount) {
            switch header.type {
            case ELFProgramHeader.load: loadable.append(try Self.segment(header, fileSize: file.size))
            case ELFProgramHeader.note: notes.append(try Self.segment(header, fileSize: file.size))
            default: break
            }
        }
        self.loadable = loadable.filter { $0.memorySize > 0 }.sorted { $0.physicalAddress < $1.physicalAddress }
        self.notes = notes
        for (one, next) in zip(self.loadable, self.loadable.dropFirst())
        where next.physicalAddress < one.physicalEnd {
            throw ELFDamage(problem: "two of its segments overlap at \(GuestPhysicalAddress(next.physicalAddress))")
        }
    }

    private static func segment(_ header: ELFProgramHeader, fileSize: UInt64) throws(ELFDamage) -> Segment {
        let (fileEnd, overflow) = header.fileOffset.addingReportingOverflow(header.fileSize)
        guard !overflow, fileEnd <= fileSize else { throw ELFDamage(problem: "a segment lies outside the file") }
        guard header.type == ELFProgramHeader.note || header.fileSize <= header.memorySize
        else { throw ELFDamage(problem: "a segment has more bytes in the file than in memory") }
        guard !header.physicalAddress.addingReportingOverflow(header.memorySize).overflow
        else { throw ELFDamage(problem: "a segment passes the end of the address space") }
        return Segment(
            fileOffset: header.fileOffset,
            fileSize: header.fileSize,
            virtualAddress: header.virtualAddress,
            isExecutable: header.isExecutable,
            physicalAddress: header.physicalAddress,
            memorySize: header.memorySize
        )
    }

    /// The physical address at which the PVH note says that the kernel is entered, or nil when there is no such note.
    ///
    /// - Parameter file: The file that the headers were read from.
    /// - Throws: ``ImageError`` when the notes cannot be read.
    func pvhEntry(in file: ImageFile) throws(ImageError) -> UInt64? {
        for note in notes {
            let bytes = try file.part(at: note.fileOffset, count: min(note.fileSize, Self.maximumNoteSize))
            if let entry = Self.pvhEntry(inNotes: bytes) { return entry }
        }
        return nil
    }

    private static func pvhEntry(inNotes bytes: [UInt8]) -> UInt64? {
        // None of these sums can wrap: sizes in a note have 32 bits, and positions are inside an array.
        let end = UInt64(bytes.count)
        var position: UInt64 = 0
        while position + noteHeaderSize <= end {
            guard let nameSize = bytes.integer(UInt32.self, at: position),
                let contentSize = bytes.integer(UInt32.self, at: position + 4),
                let type = bytes.integer(UInt32.self, at: position + 8)
            else { return nil }
            let name = position + noteHeaderSize
            let content = name + aligned(nameSize)
            guard content + UInt64(contentSize) <= end else { return nil }
            if type == entryNote, nameSize == entryNoteName.count, bytes.hasBytes(entryNoteName, at: Int(name)) {
                // Xen's own definition has four bytes; Linux for x86-64 writes eight.
                switch contentSize {
                case 4: return bytes.integer(UInt32.self, at: content).map(UInt64.init)
                case 8: return bytes.integer(UInt64.self, at: content)
                default: return nil
                }
            }
            position = content + aligned(contentSize)
        }
        return nil
    }

    /// A size rounded up to the four bytes that notes are aligned to.
    private static func aligned(_ size: UInt32) -> UInt64 { (UInt64(size) + 3) & ~3 }

    /// Kernels have about five program headers; the limit keeps a hostile file from costing time.
    private static let maximumHeaderCount: UInt16 = 128
    private static let noteHeaderSize: UInt64 = 12
    /// Kernels have some hundred bytes of notes; the limit keeps a hostile file from costing time.
    private static let maximumNoteSize: UInt64 = 0x1_0000
    /// XEN_ELFNOTE_PHYS32_ENTRY. Source: Xen, public/elfnote.h.
    private static let entryNote: UInt32 = 18
    /// "Xen" with its terminating zero.
    private static let entryNoteName: [UInt8] = [0x58, 0x65, 0x6e, 0x00]
}
