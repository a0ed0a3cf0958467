/// A function's symbol in an ELF file.
///
/// Source: System V ABI, "Symbol Table".
package struct ELFSymbol: Hashable, Sendable {
    /// Its name.
    package let name: String
    /// Its address, as the file is linked.
    package let address: UInt64
    /// How many bytes it has; 0 where the file does not say.
    package let size: UInt64
    /// Whether other files see it.
    package let isGlobal: Bool

    /// Reads the functions of a little-endian file: of its full symbol table, or where it was stripped of the one that
    /// the dynamic loader needs. Labels in code count as functions, as the entries of kernels are.
    ///
    /// - Returns: None where the file has no symbols.
    /// - Throws: ``ELFDamage`` when the tables do not lie inside the file.
    package static func functions(in bytes: [UInt8], _ format: ELFClass) throws(ELFDamage) -> [ELFSymbol] {
        let sections = try ELFSection.all(in: bytes, format).sections
        let table =
            sections.first { $0.type == ELFSection.symbols } ?? sections.first { $0.type == ELFSection.dynamicSymbols }
        guard let table else { return [] }
        guard let link = Int(exactly: table.link), sections.indices.contains(link),
            bytes.part(at: table.offset, count: table.size) != nil,
            let names = bytes.part(at: sections[link].offset, count: sections[link].size)
        else { throw ELFDamage(problem: "its symbols lie outside the file") }
        let size = format.symbolSize
        var symbols: [ELFSymbol] = []
        for index in 0..<(table.size / size) {
            guard let entry = Entry(bytes, at: table.offset + index * size, format) else { break }
            guard entry.isFunction(in: sections), let name = text(names, at: entry.name), !name.isEmpty else {
                continue
            }
            symbols.append(
                ELFSymbol(name: name, address: entry.value, size: entry.size, isGlobal: entry.information >> 4 != 0))
        }
        return symbols
    }

    /// The text that ends with a zero, at an offset of a string table.
    private static func text(_ names: ArraySlice<UInt8>, at offset: UInt32) -> String? {
        guard let start = Int(exactly: offset), start < names.count else { return nil }
        return String(decoding: names.dropFirst(start).prefix(maximumNameSize).prefix { $0 != 0 }, as: UTF8.self)
    }

    /// As much of a name as is read, so that a hostile file costs no time.
    private static let maximumNameSize = 4096

    /// A symbol as it stands in the table.
    private struct Entry {
        let name: UInt32
        let information: UInt8
        let section: UInt16
        let value: UInt64
        let size: UInt64

        init?(_ bytes: [UInt8], at start: UInt64, _ format: ELFClass) {
            let isWide = format == .wide
            guard let name = bytes.integer(UInt32.self, at: start),
                let information = bytes.integer(UInt8.self, at: start + (isWide ? 4 : 12)),
                let section = bytes.integer(UInt16.self, at: start + (isWide ? 6 : 14)),
                let value = format.word(bytes, at: start + (isWide ? 8 : 4)),
                let size = format.word(bytes, at: start + (isWide ? 16 : 8))
            else { return nil }
            self.name = name
            self.information = information
            self.section = section
            self.value = value
            self.size = size
        }

        /// STT_FUNC, or STT_NOTYPE in a section of code.
        func isFunction(in sections: [ELFSection]) -> Bool {
            guard section != 0 else { return false }
            switch information & 0xf {
            case 2: return true
            case 0:
                let index = Int(section)
                return sections.indices.contains(index) && sections[index].flags & ELFSection.executable != 0
            default: return false
            }
        }
    }
}

extension ELFClass {
    /// The bytes of a symbol.
    fileprivate var symbolSize: UInt64 { wordSize == 8 ? 24 : 16 }
}
