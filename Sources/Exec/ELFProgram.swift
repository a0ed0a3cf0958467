import Boot

/// What a program or library says of the files that it needs to run: its interpreter, and shared libraries.
///
/// Nothing that the file says is trusted: every offset is checked against it, and what is read of it is bounded.
///
/// Source: System V ABI, "Program Interpreter", "Dynamic Section", "Shared Object Dependencies".
struct ELFProgram: Sendable {
    /// What is wrong with a file, as a sentence without its full stop.
    package struct Damage: Error, Hashable {
        package let problem: String
    }

    /// What kind of file it is.
    package let identity: ELFIdentity
    /// The path of the dynamic loader (PT_INTERP), if there is one.
    let interpreter: String?
    /// The names of the libraries (DT_NEEDED), in their order.
    let libraries: [String]
    /// Where to look for them before other places (DT_RPATH), as the file has it. Empty when there is a ``runPath``.
    let earlyPath: String
    /// Where to look for this file's own libraries (DT_RUNPATH), as the file has it.
    let runPath: String

    /// Reads a file.
    ///
    /// - Returns: Nil when it is not an ELF file at all.
    /// - Throws: ``Damage`` when it contradicts itself.
    init?(_ bytes: [UInt8]) throws(Damage) {
        guard let identity = ELFIdentity(bytes) else { return nil }
        self.identity = identity
        guard identity.isLittleEndian else {
            (interpreter, libraries, earlyPath, runPath) = (nil, [], "", "")
            return
        }
        let reader = try Reader(bytes, identity.is64Bit ? .wide : .narrow)
        interpreter = try reader.interpreter()
        let entries = try reader.dynamicEntries()
        libraries = try reader.strings(entries, tag: Tag.needed)
        runPath = try reader.strings(entries, tag: Tag.runPath).last ?? ""
        earlyPath = runPath.isEmpty ? try reader.strings(entries, tag: Tag.earlyPath).last ?? "" : ""
    }

    private enum Tag {
        static let end: UInt64 = 0
        static let needed: UInt64 = 1
        static let stringTable: UInt64 = 5
        static let stringTableSize: UInt64 = 10
        static let earlyPath: UInt64 = 15
        static let runPath: UInt64 = 29
    }

    private struct Segment {
        let type: UInt32
        let fileOffset: UInt64
        let address: UInt64
        let fileSize: UInt64
    }

    private struct Entry {
        let tag: UInt64
        let value: UInt64
    }

    /// The file's bytes, and the program headers in them.
    private struct Reader {
        private let bytes: [UInt8]
        private let format: ELFClass
        private let segments: [Segment]

        private static let typeLoad: UInt32 = 1
        private static let typeDynamic: UInt32 = 2
        private static let typeInterpreter: UInt32 = 3
        /// Programs have about ten; the limit keeps a hostile file from costing time.
        private static let greatestSegmentCount: UInt16 = 512
        /// Programs have some tens; likewise.
        private static let greatestEntryCount: UInt64 = 0x4000
        /// PATH_MAX, which counts the terminating zero; a list of paths has more than one.
        private static let greatestStringSize: UInt64 = 0x4000

        init(_ bytes: [UInt8], _ format: ELFClass) throws(Damage) {
            self.bytes = bytes
            self.format = format
            guard let tableOffset = format.word(bytes, at: format.tableOffset),
                let entrySize = bytes.integer(UInt16.self, at: format.entrySizeOffset),
                let count = bytes.integer(UInt16.self, at: format.entryCountOffset)
            else { throw Damage(problem: "it ends inside its header") }
            guard count <= Self.greatestSegmentCount, count == 0 || UInt64(entrySize) == format.entrySize
            else { throw Damage(problem: "it states \(count) program headers of \(entrySize) bytes each") }
            guard let table = bytes.part(at: tableOffset, count: UInt64(count) * format.entrySize)
            else { throw Damage(problem: "its program headers lie outside the file") }

            var segments: [Segment] = []
            // The sums stay inside the table, which lies inside the file.
            for start in stride(from: UInt64(table.startIndex), to: UInt64(table.endIndex), by: Int(format.entrySize)) {
                guard let type = bytes.integer(UInt32.self, at: start),
                    let fileOffset = format.word(bytes, at: start + format.fileOffset),
                    let address = format.word(bytes, at: start + format.address),
                    let fileSize = format.word(bytes, at: start + format.fileSize)
                else { throw Damage(problem: "its program headers lie outside the file") }
                segments.append(
                    Segment(type: type, fileOffset: fileOffset, address: address, fileSize: fileSize))
            }
            self.segments = segments
        }

        func interpreter() throws(Damage) -> String? {
            guard let segment = segments.first(where: { $0.type == Self.typeInterpreter }) else { return nil }
            return try string(at: segment.fileOffset, limit: segment.fileSize, "the name of its interpreter")
        }

        /// The dynamic section, up to its end mark; empty for a static program.
        func dynamicEntries() throws(Damage) -> [Entry] {
            guard let segment = segments.first(where: { $0.type == Self.typeDynamic }) else { return [] }
            guard bytes.part(at: segment.fileOffset, count: segment.fileSize) != nil
            else { throw Damage(problem: "its dynamic section lies outside the file") }
            var entries: [Entry] = []
            let size = 2 * format.wordSize
            for index in 0..<min(segment.fileSize / size, Self.greatestEntryCount) {
                // Inside the section, which lies inside the file.
                let start = segment.fileOffset + index * size
                guard let tag = format.word(bytes, at: start),
                    let value = format.word(bytes, at: start + format.wordSize), tag != Tag.end
                else { break }
                entries.append(Entry(tag: tag, value: value))
            }
            return entries
        }

        /// The strings that the entries of a tag name.
        func strings(_ entries: [Entry], tag: UInt64) throws(Damage) -> [String] {
            let wanted = entries.filter { $0.tag == tag }
            guard !wanted.isEmpty else { return [] }
            guard let table = entries.last(where: { $0.tag == Tag.stringTable })?.value,
                let size = entries.last(where: { $0.tag == Tag.stringTableSize })?.value,
                let start = fileOffset(ofAddress: table)
            else { throw Damage(problem: "its dynamic section names no string table in the file") }
            var strings: [String] = []
            for entry in wanted {
                let (offset, overflow) = start.addingReportingOverflow(entry.value)
                guard !overflow, entry.value < size
                else { throw Damage(problem: "its dynamic section names a string outside its string table") }
                let text = try string(at: offset, limit: size - entry.value, "a name in its dynamic section")
                strings.append(text)
            }
            return strings
        }

        /// Where the bytes stand in the file that are at an address when it is loaded.
        private func fileOffset(ofAddress address: UInt64) -> UInt64? {
            for segment in segments where segment.type == Self.typeLoad {
                guard address >= segment.address, address - segment.address < segment.fileSize else { continue }
                let (offset, overflow) = segment.fileOffset.addingReportingOverflow(address - segment.address)
                return overflow ? nil : offset
            }
            return nil
        }

        /// The string that stands somewhere, up to its zero.
        private func string(at offset: UInt64, limit: UInt64, _ name: String) throws(Damage) -> String {
            let greatest = min(limit, Self.greatestStringSize)
            let available = offset < UInt64(bytes.count) ? UInt64(bytes.count) - offset : 0
            guard let part = bytes.part(at: offset, count: min(greatest, available)), let end = part.firstIndex(of: 0)
            else { throw Damage(problem: "\(name) has no end inside the file") }
            guard let text = String(validating: part[..<end], as: UTF8.self)
            else { throw Damage(problem: "\(name) is not text") }
            return text
        }
    }
}

/// Where the fields of an ELF file stand, which differs between 32 and 64 bits.
///
/// Source: System V ABI, "ELF Header", "Program Header", "Dynamic Section".
struct ELFClass: Hashable, Sendable {
    /// The bytes of an address, an offset or a size.
    let wordSize: UInt64

    /// The header: where the program headers stand, the size of each, and how many there are.
    package let tableOffset: UInt64
    let entrySizeOffset: UInt64
    let entryCountOffset: UInt64

    /// A program header: its size, and what stands where. The type comes first.
    package let entrySize: UInt64
    package let fileOffset: UInt64
    package let address: UInt64
    package let fileSize: UInt64

    /// For machines with addresses of 64 bits.
    package static let wide = ELFClass(
        wordSize: 8,
        tableOffset: 32, entrySizeOffset: 54, entryCountOffset: 56,
        entrySize: 56, fileOffset: 8, address: 16, fileSize: 32
    )

    /// For machines with addresses of 32 bits.
    package static let narrow = ELFClass(
        wordSize: 4,
        tableOffset: 28, entrySizeOffset: 42, entryCountOffset: 44,
        entrySize: 32, fileOffset: 4, address: 8, fileSize: 16
    )

    /// The address, offset or size that stands somewhere in a file.
    package func word(_ bytes: [UInt8], at offset: UInt64) -> UInt64? {
        wordSize == 8 ? bytes.integer(UInt64.self, at: offset) : bytes.integer(UInt32.self, at: offset).map(UInt64.init)
    }
}
