/// The list of libraries that the dynamic loader of the GNU C library looks names up in: /etc/ld.so.cache.
///
/// Source: the GNU C library, sysdeps/generic/dl-cache.h (struct cache_file, struct cache_file_new).
struct LibraryCache: Sendable {
    private let paths: [Key: [String]]

    private struct Key: Hashable {
        let name: String
        let is64Bit: Bool
    }

    /// No libraries.
    init() {
        paths = [:]
    }

    /// Reads a cache. What is not one, or is damaged, is as good as none: the loader would pass over it too.
    init(_ bytes: [UInt8]) {
        var paths: [Key: [String]] = [:]
        if let start = Self.start(in: bytes), let count = bytes.integer(UInt32.self, at: start + Offset.count) {
            for index in 0..<UInt64(count) {
                // A count of 32 bits times 24 bytes, after a header that lies inside an array.
                let entry = start + Offset.entries + index * Self.entrySize
                guard let flags = bytes.integer(UInt32.self, at: entry),
                    let name = bytes.integer(UInt32.self, at: entry + Offset.entryName),
                    let path = bytes.integer(UInt32.self, at: entry + Offset.entryPath)
                else { break }
                guard let is64Bit = Self.wordSizes[flags], let name = Self.string(bytes, at: start + UInt64(name)),
                    let path = Self.string(bytes, at: start + UInt64(path)), path.hasPrefix("/")
                else { continue }
                paths[Key(name: name, is64Bit: is64Bit), default: []].append(path)
            }
        }
        self.paths = paths
    }

    /// All files that the loader might take for a name: which one depends on the processor.
    func paths(of name: String, is64Bit: Bool) -> [String] {
        paths[Key(name: name, is64Bit: is64Bit)] ?? []
    }

    /// Where the header stands that the offsets of strings count from. An older form can come before it.
    private static func start(in bytes: [UInt8]) -> UInt64? {
        if bytes.hasBytes(magic, at: 0) { return 0 }
        guard bytes.hasBytes(oldMagic, at: 0), let count = bytes.integer(UInt32.self, at: Offset.oldCount)
        else { return nil }
        let end = Offset.oldEntries + UInt64(count) * oldEntrySize
        let start = (end + alignment - 1) / alignment * alignment
        guard let offset = Int(exactly: start), bytes.hasBytes(magic, at: offset) else { return nil }
        return start
    }

    private static func string(_ bytes: [UInt8], at offset: UInt64) -> String? {
        guard offset < UInt64(bytes.count) else { return nil }
        // A longer one is no path.
        let size = min(greatestStringSize, UInt64(bytes.count) - offset)
        guard let part = bytes.part(at: offset, count: size), let end = part.firstIndex(of: 0) else { return nil }
        return String(validating: part[..<end], as: UTF8.self)
    }

    /// "glibc-ld.so.cache1.1", and "ld.so-1.7.0" with its terminating zero.
    private static let magic = Array("glibc-ld.so.cache1.1".utf8)
    private static let oldMagic = Array("ld.so-1.7.0\0".utf8)
    private static let entrySize: UInt64 = 24
    private static let oldEntrySize: UInt64 = 12
    private static let alignment: UInt64 = 8
    /// PATH_MAX.
    private static let greatestStringSize: UInt64 = 4096

    private enum Offset {
        static let count: UInt64 = 20
        static let entries: UInt64 = 48
        static let entryName: UInt64 = 4
        static let entryPath: UInt64 = 8
        static let oldCount: UInt64 = 12
        static let oldEntries: UInt64 = 16
    }

    /// The flags of the libraries for x86-64 (FLAG_ELF_LIBC6 | FLAG_X8664_LIB64) and x86 (FLAG_ELF_LIBC6).
    private static let wordSizes: [UInt32: Bool] = [0x0303: true, 0x0003: false]
}
