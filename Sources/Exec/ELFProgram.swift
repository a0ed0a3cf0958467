import Boot
import Host

/// What a program or library says of the files that it needs to run: its interpreter, and shared libraries.
///
/// Nothing that the file says is trusted: every offset is checked against it, and what is read of it is bounded.
///
/// Source: System V ABI, "Program Interpreter", "Dynamic Section", "Shared Object Dependencies".
struct ELFProgram: Sendable {
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
    /// - Throws: ``ELFDamage`` when it contradicts itself.
    init?(_ bytes: [UInt8]) throws(ELFDamage) {
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

    private struct Entry {
        let tag: UInt64
        let value: UInt64
    }

    /// The file's bytes, and the program headers in them.
    private struct Reader {
        private let bytes: [UInt8]
        private let format: ELFClass
        private let segments: [ELFProgramHeader]

        /// Programs have about ten; the limit keeps a hostile file from costing time.
        private static let maximumSegmentCount: UInt16 = 512
        /// Programs have some tens; likewise.
        private static let maximumEntryCount: UInt64 = 0x4000
        /// PATH_MAX, which counts the terminating zero; a list of paths has more than one.
        private static let maximumStringSize: UInt64 = 0x4000
        /// All names of a kind together.
        private static let maximumTextSize = 0x40_0000

        init(_ bytes: [UInt8], _ format: ELFClass) throws(ELFDamage) {
            self.bytes = bytes
            self.format = format
            segments = try ELFProgramHeader.all(in: bytes, format, maximumCount: Self.maximumSegmentCount)
        }

        func interpreter() throws(ELFDamage) -> String? {
            guard let segment = segments.first(where: { $0.type == ELFProgramHeader.interpreter }) else { return nil }
            return try string(at: segment.fileOffset, limit: segment.fileSize, "the name of its interpreter")
        }

        /// The dynamic section, up to its end mark; empty for a static program.
        func dynamicEntries() throws(ELFDamage) -> [Entry] {
            guard let segment = segments.first(where: { $0.type == ELFProgramHeader.dynamic }) else { return [] }
            guard bytes.part(at: segment.fileOffset, count: segment.fileSize) != nil
            else { throw ELFDamage(problem: "its dynamic section lies outside the file") }
            var entries: [Entry] = []
            let size = 2 * format.wordSize
            for index in 0..<min(segment.fileSize / size, Self.maximumEntryCount) {
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
        func strings(_ entries: [Entry], tag: UInt64) throws(ELFDamage) -> [String] {
            let wanted = entries.filter { $0.tag == tag }
            guard !wanted.isEmpty else { return [] }
            guard let table = entries.last(where: { $0.tag == Tag.stringTable })?.value,
                let size = entries.last(where: { $0.tag == Tag.stringTableSize })?.value,
                let start = fileOffset(ofAddress: table)
            else { throw ELFDamage(problem: "its dynamic section names no string table in the file") }
            var strings: [String] = []
            var textSize = 0
            for entry in wanted {
                let (offset, overflow) = start.addingReportingOverflow(entry.value)
                guard !overflow, entry.value < size
                else { throw ELFDamage(problem: "its dynamic section names a string outside its string table") }
                let text = try string(at: offset, limit: size - entry.value, "a name in its dynamic section")
                strings.append(text)
                // Names can overlap in the table, so that a small file holds many long ones.
                textSize += text.utf8.count
                guard textSize <= Self.maximumTextSize
                else { throw ELFDamage(problem: "its dynamic section names too much text") }
            }
            return strings
        }

        /// Where the bytes stand in the file that are at an address when it is loaded.
        private func fileOffset(ofAddress address: UInt64) -> UInt64? {
            for segment in segments where segment.type == ELFProgramHeader.load {
                guard address >= segment.virtualAddress, address - segment.virtualAddress < segment.fileSize else {
                    continue
                }
                let (offset, overflow) = segment.fileOffset.addingReportingOverflow(address - segment.virtualAddress)
                return overflow ? nil : offset
            }
            return nil
        }

        /// The string that stands somewhere, up to its zero.
        private func string(at offset: UInt64, limit: UInt64, _ name: String) throws(ELFDamage) -> String {
            let maximum = min(limit, Self.maximumStringSize)
            let available = offset < UInt64(bytes.count) ? UInt64(bytes.count) - offset : 0
            guard let part = bytes.part(at: offset, count: min(maximum, available)), let end = part.firstIndex(of: 0)
            else { throw ELFDamage(problem: "\(name) has no end inside the file") }
            return ForeignText.text(part[..<end])
        }
    }
}
