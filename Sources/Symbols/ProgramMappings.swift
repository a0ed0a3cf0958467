import Boot

/// The code in a program's address space: which file each part of it comes from, and the functions there.
///
/// Source: proc(5), "/proc/PID/maps"; System V ABI, "Program Header".
public struct ProgramMappings: Sendable {
    /// A part of a file, as it is mapped to be executed.
    private struct Mapping {
        let addresses: Range<UInt64>
        /// What is taken off an address for that at which the file was linked; where the file is not known, for the
        /// offset in it.
        let slide: UInt64
        let path: String
    }

    /// Ascending by address.
    private let mappings: [Mapping]
    /// The functions of the files that have any.
    private let tables: [String: SymbolTable]

    /// Reads what a Linux guest has in /proc/PID/maps. What makes no sense there is left out.
    ///
    /// - Parameters:
    ///   - text: The file.
    ///   - files: The files in the guest, by their paths.
    public init(_ text: [UInt8], files: [String: [UInt8]]) {
        var mappings: [Mapping] = []
        var tables: [String: SymbolTable] = [:]
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let (addresses, offset, path) = Self.code(line) else { continue }
            let file = files[path]
            let linked = file.flatMap { Self.linkedAddress(of: offset, in: $0) } ?? offset
            mappings.append(
                Mapping(addresses: addresses, slide: addresses.lowerBound &- linked, path: path))
            if tables[path] == nil, let file { tables[path] = try? SymbolTable(file, path: path) }
        }
        self.mappings = mappings.sorted { $0.addresses.lowerBound < $1.addresses.lowerBound }
        self.tables = tables
    }

    /// The function that has an address, and how many bytes into it that is; where only the file is known, its name and
    /// the address at which it was linked.
    public func function(at address: UInt64) -> (name: String, offset: UInt64)? {
        guard let mapping = mappings.first(where: { $0.addresses.contains(address) }) else { return nil }
        let linked = address &- mapping.slide
        if let function = tables[mapping.path]?.function(at: linked) { return function }
        let name = mapping.path.split(separator: "/").last.map(String.init) ?? mapping.path
        return (SymbolTable.printable(name.utf8), linked)
    }

    /// A line's addresses, offset and path, if something of a file can be executed there.
    private static func code(_ line: ArraySlice<UInt8>) -> (Range<UInt64>, UInt64, String)? {
        // Addresses, permissions, offset, device, inode, path. The path may have spaces.
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
        guard words.count == 6, words[1].contains(UInt8(ascii: "x")),
            let offset = SymbolTable.hexadecimal(words[2])
        else { return nil }
        let ends = words[0].split(separator: UInt8(ascii: "-")).compactMap(SymbolTable.hexadecimal)
        guard ends.count == 2, ends[0] < ends[1] else { return nil }
        return (ends[0]..<ends[1], offset, String(decoding: words[5].drop { $0 == UInt8(ascii: " ") }, as: UTF8.self))
    }

    /// The address at which an ELF file has what stands at an offset in it.
    private static func linkedAddress(of offset: UInt64, in bytes: [UInt8]) -> UInt64? {
        guard let identity = ELFIdentity(bytes), identity.isLittleEndian,
            let headers = try? ELFProgramHeader.all(
                in: bytes, identity.is64Bit ? .wide : .narrow, maximumCount: maximumSegmentCount)
        else { return nil }
        // Segments are mapped by whole pages.
        let segment = headers.first { header in
            header.type == ELFProgramHeader.load && header.isExecutable && header.fileOffset & ~pageMask <= offset
                && offset &- (header.fileOffset & ~pageMask) <= header.fileSize
        }
        return segment.map { $0.virtualAddress &- $0.fileOffset &+ offset }
    }

    private static let pageMask: UInt64 = 0xfff
    /// Programs have about ten; the limit keeps a hostile file from costing time.
    private static let maximumSegmentCount: UInt16 = 512
}
