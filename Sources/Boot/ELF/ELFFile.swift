import Memory

/// The program headers of an ELF file for x86-64, checked against the file.
///
/// Source: System V ABI, "ELF Header", "Program Header", "Note Section".
struct ELFFile: Sendable {
    /// What is wrong with a file, as a sentence without its full stop.
    package struct Damage: Error {
        package let problem: String
    }

    /// A program header whose bytes lie inside the file.
    package struct Segment: Sendable {
        /// Where the bytes stand in the file.
        package let fileOffset: UInt64
        /// How many bytes the file has of the segment.
        package let fileSize: UInt64
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

    /// Reads the headers of a file that ``ELFIdentity`` says is for x86-64.
    init(_ bytes: [UInt8]) throws(Damage) {
        guard let tableOffset = bytes.integer(UInt64.self, at: HeaderOffset.tableOffset),
            let entrySize = bytes.integer(UInt16.self, at: HeaderOffset.entrySize),
            let count = bytes.integer(UInt16.self, at: HeaderOffset.entryCount)
        else { throw Damage(problem: "it ends inside its header") }
        guard count <= Self.greatestEntryCount, count == 0 || entrySize == Self.entrySize
        else { throw Damage(problem: "it states \(count) program headers of \(entrySize) bytes each") }
        guard let table = bytes.part(at: tableOffset, count: UInt64(count) * UInt64(Self.entrySize))
        else { throw Damage(problem: "its program headers lie outside the file") }

        var loadable: [Segment] = []
        var notes: [Segment] = []
        for offset in stride(from: UInt64(table.startIndex), to: UInt64(table.endIndex), by: Int(Self.entrySize)) {
            switch bytes.integer(UInt32.self, at: offset) {
            case Self.typeLoad: loadable.append(try Self.segment(bytes, at: offset))
            case Self.typeNote: notes.append(try Self.segment(bytes, at: offset))
            default: break
            }
        }
        self.loadable = loadable.filter { $0.memorySize > 0 }.sorted { $0.physicalAddress < $1.physicalAddress }
        self.notes = notes
        for (one, next) in zip(self.loadable, self.loadable.dropFirst())
        where next.physicalAddress < one.physicalEnd {
            throw Damage(problem: "two of its segments overlap at \(GuestPhysicalAddress(next.physicalAddress))")
        }
    }

    private static func segment(_ bytes: [UInt8], at offset: UInt64) throws(Damage) -> Segment {
        guard let fileOffset = bytes.integer(UInt64.self, at: offset + EntryOffset.fileOffset),
            let physicalAddress = bytes.integer(UInt64.self, at: offset + EntryOffset.physicalAddress),
            let fileSize = bytes.integer(UInt64.self, at: offset + EntryOffset.fileSize),
            let memorySize = bytes.integer(UInt64.self, at: offset + EntryOffset.memorySize),
            bytes.part(at: fileOffset, count: fileSize) != nil
        else { throw Damage(problem: "a segment lies outside the file") }
        let isNote = bytes.integer(UInt32.self, at: offset) == Self.typeNote
        guard isNote || fileSize <= memorySize
        else { throw Damage(problem: "a segment has more bytes in the file than in memory") }
        guard !physicalAddress.addingReportingOverflow(memorySize).overflow
        else { throw Damage(problem: "a segment passes the end of the address space") }
        return Segment(
            fileOffset: fileOffset,
            fileSize: fileSize,
            physicalAddress: physicalAddress,
            memorySize: memorySize
        )
    }

    /// The physical address at which the PVH note says that the kernel is entered, or nil when there is no such note.
    ///
    /// - Parameter bytes: The file that the headers were read from.
    func pvhEntry(in bytes: [UInt8]) -> UInt64? {
        for note in notes {
            guard let entry = Self.pvhEntry(in: bytes, note) else { continue }
            return entry
        }
        return nil
    }

    private static func pvhEntry(in bytes: [UInt8], _ segment: Segment) -> UInt64? {
        // None of these sums can wrap: sizes in a note have 32 bits, and positions are inside an array.
        let end = segment.fileOffset + min(segment.fileSize, greatestNoteSize)
        var position = segment.fileOffset
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

    private enum HeaderOffset {
        static let tableOffset: UInt64 = 32
        static let entrySize: UInt64 = 54
        static let entryCount: UInt64 = 56
    }

    private enum EntryOffset {
        static let fileOffset: UInt64 = 8
        static let physicalAddress: UInt64 = 24
        static let fileSize: UInt64 = 32
        static let memorySize: UInt64 = 40
    }

    private static let entrySize: UInt16 = 56
    /// Kernels have about five; the limit keeps a hostile file from costing time.
    private static let greatestEntryCount: UInt16 = 128
    private static let typeLoad: UInt32 = 1
    private static let typeNote: UInt32 = 4
    private static let noteHeaderSize: UInt64 = 12
    /// Kernels have some hundred bytes of notes; the limit keeps a hostile file from costing time.
    private static let greatestNoteSize: UInt64 = 0x1_0000
    /// XEN_ELFNOTE_PHYS32_ENTRY. Source: Xen, public/elfnote.h.
    private static let entryNote: UInt32 = 18
    /// "Xen" with its terminating zero.
    private static let entryNoteName: [UInt8] = [0x58, 0x65, 0x6e, 0x00]
}

/// What kind of ELF file a file is, as far as an error has to say it.
///
/// Source: System V ABI, "ELF Header", and its registry of machine numbers.
public struct ELFIdentity: Hashable, Sendable {
    /// Whether addresses have 64 bits.
    public let is64Bit: Bool
    /// Whether numbers are stored with the least significant byte first.
    public let isLittleEndian: Bool
    /// What the file is for (`e_type`): 1 an object file, 2 a program, 3 a position-independent program or a library,
    /// 4 a core dump.
    public let type: UInt16
    /// The processor (`e_machine`).
    public let machine: UInt16

    /// Looks at the first bytes of a file.
    ///
    /// - Returns: Nil when they are not those of an ELF file, or end before the machine's number.
    package init?(_ bytes: [UInt8]) {
        guard bytes.hasBytes(Self.magic, at: 0),
            let fileClass = bytes.integer(UInt8.self, at: Offset.fileClass),
            let encoding = bytes.integer(UInt8.self, at: Offset.encoding),
            let type = bytes.integer(UInt16.self, at: Offset.type),
            let machine = bytes.integer(UInt16.self, at: Offset.machine)
        else { return nil }
        is64Bit = fileClass == Self.class64
        isLittleEndian = encoding != Self.encodingBig
        self.type = isLittleEndian ? type : type.byteSwapped
        self.machine = isLittleEndian ? machine : machine.byteSwapped
    }

    /// Whether a file begins as every ELF file does.
    static func isPresent(in bytes: [UInt8]) -> Bool {
        bytes.hasBytes(magic, at: 0)
    }

    /// Whether the file is for the processor that MiniVMM's guests have, in its 64-bit mode.
    public var isX8664: Bool { is64Bit && isLittleEndian && machine == Self.machineX8664 }

    private static let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]
    private static let class64: UInt8 = 2
    private static let encodingBig: UInt8 = 2
    private static let machineX8664: UInt16 = 62
    private static let typeObject: UInt16 = 1
    private static let typeCore: UInt16 = 4

    private enum Offset {
        static let fileClass: UInt64 = 4
        static let encoding: UInt64 = 5
        static let type: UInt64 = 16
        static let machine: UInt64 = 18
    }

    private static let machineNames: [UInt16: String] = [
        2: "SPARC", 3: "x86", 4: "68000", 8: "MIPS", 15: "PA-RISC", 20: "PowerPC", 21: "64-bit PowerPC", 22: "S/390",
        40: "ARM", 42: "SuperH", 43: "64-bit SPARC", 50: "Itanium", 62: "x86-64", 183: "ARM64", 243: "RISC-V",
        247: "BPF", 258: "LoongArch",
    ]
}

extension ELFIdentity: CustomStringConvertible {
    /// The file in words, with its article, such as "an ELF program for ARM64".
    public var description: String {
        let article = is64Bit ? "an" : "a 32-bit"
        let order = isLittleEndian ? "" : "big-endian "
        let kind =
            switch type {
            case Self.typeObject: "object file"
            case Self.typeCore: "core dump"
            default: "program"
            }
        let processor = Self.machineNames[machine] ?? "the machine of number \(machine)"
        return "\(article) ELF \(kind) for \(order)\(processor)"
    }
}
