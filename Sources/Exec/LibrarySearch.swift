import Boot
import Host

/// Finds shared libraries where the dynamic loader will find them.
///
/// Where the loader chooses by the processor's abilities, all that it may choose are found.
///
/// Source: ld.so(8), and the GNU C library, elf/dl-load.c (_dl_map_object); musl, ldso/dynlink.c (load_library).
struct LibrarySearch {
    /// A program or library that needs others.
    struct Needer: Sendable {
        /// The file's path, as it was found.
        package let path: String
        /// What it says.
        package let program: ELFProgram
        /// The directory that `$ORIGIN` stands for.
        package let origin: String
        /// The directories of its DT_RPATH, and of those of the libraries and the program that led to it.
        let earlyDirectories: [String]
        /// The directories of its DT_RUNPATH.
        let runDirectories: [String]
        /// How many led to it.
        let depth: Int
    }

    let sources: HostSources
    /// The directory that relative paths start from.
    package let directory: String
    /// The directories of LD_LIBRARY_PATH in the guest.
    let libraryPath: [String]
    /// Whether the loader is that of musl.
    let isMusl: Bool
    package let cache: LibraryCache

    /// Variants of libraries for processors that can more. Source: glibc, sysdeps/x86_64/dl-hwcaps-subdirs.c.
    private static let variants = ["x86-64-v4", "x86-64-v3", "x86-64-v2"].map { "glibc-hwcaps/\($0)/" }
    /// Where distributions have their libraries, in the loader's order.
    private static let wideDirectories = [
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
    ]
    private static let narrowDirectories = [
        "/lib/i386-linux-gnu", "/usr/lib/i386-linux-gnu", "/lib32", "/usr/lib32", "/lib", "/usr/lib",
    ]
    private static let muslDirectories = ["/lib", "/usr/local/lib", "/usr/lib"]

    /// What a file needs, and how to look for it.
    package func needer(_ path: String, _ program: ELFProgram, neededBy loader: Needer?) throws(ExecError) -> Needer {
        let depth = loader.map { $0.depth + 1 } ?? 0
        try sources.checkDepth(depth, neededBy: path)
        // The program's own place is that of the file itself; a library's is that under which it was found.
        let place = loader == nil ? (try? sources.host.resolve(path)) ?? path : path
        let origin = PathWalk.parent(of: place)
        let early = directories(program.earlyPath, origin, program.identity)
        return Needer(
            path: path,
            program: program,
            origin: origin,
            earlyDirectories: early + (loader?.earlyDirectories ?? []),
            runDirectories: directories(program.runPath, origin, program.identity),
            depth: depth
        )
    }

    /// Finds a library.
    ///
    /// - Returns: All files that the loader may take, one of them for any processor; none if there is no such library.
    package func find(_ name: String, for needer: Needer) throws(ExecError) -> [HostFile] {
        let identity = needer.program.identity
        let path = needer.path
        if name.utf8.contains(UInt8(ascii: "/")) {
            return try usable(expand(name, needer.origin, identity), identity, neededBy: path)
        }
        let early = needer.runDirectories.isEmpty || isMusl ? needer.earlyDirectories : []
        for directories in [early, libraryPath, needer.runDirectories] {
            let found = try first(name, in: directories, identity, neededBy: path)
            if !found.isEmpty { return found }
        }
        if isMusl { return try first(name, in: Self.muslDirectories, identity, neededBy: path) }
        let cached = try usable(cache.paths(of: name, is64Bit: identity.is64Bit), identity, neededBy: path)
        if !cached.isEmpty { return cached }
        let standard = identity.is64Bit ? Self.wideDirectories : Self.narrowDirectories
        return try first(name, in: standard, identity, neededBy: path)
    }

    /// The libraries of a name in the first directory that has one.
    private func first(
        _ name: String, in directories: [String], _ identity: ELFIdentity, neededBy needer: String
    ) throws(ExecError) -> [HostFile] {
        let names = isMusl ? [name] : Self.variants.map { $0 + name } + [name]
        for directory in directories {
            let place = SearchPath.absolute(directory, from: self.directory)
            guard try sources.hasDirectory(place, neededBy: needer) else { continue }
            let found = try usable(names.map { "\(directory)/\($0)" }, identity, neededBy: needer)
            if !found.isEmpty { return found }
        }
        return []
    }

    /// Those of some files that are libraries for the same kind of processor. The loader passes over others, too.
    private func usable(
        _ paths: [String], _ wanted: ELFIdentity, neededBy needer: String
    ) throws(ExecError) -> [HostFile] {
        var found: [HostFile] = []
        for path in paths {
            let path = SearchPath.absolute(path, from: directory)
            do {
                guard let file = try sources.find(path, neededBy: needer), let identity = ELFIdentity(file.bytes),
                    identity.is64Bit == wanted.is64Bit, identity.machine == wanted.machine
                else { continue }
                found.append(file)
            } catch .tooMuch(let limit, let culprit) {
                throw .tooMuch(limit, neededBy: culprit)
            } catch {
                continue
            }
        }
        return found
    }

    /// The directories of a list with colons.
    private func directories(_ list: String, _ origin: String, _ identity: ELFIdentity) -> [String] {
        list.split(separator: ":").flatMap { expand(String($0), origin, identity) }
    }

    /// A path with the loader's variables replaced. Some have more than one value, depending on the distribution.
    private func expand(_ path: String, _ origin: String, _ identity: ELFIdentity) -> [String] {
        guard path.contains("$") else { return [path] }
        let platform = identity.is64Bit ? "x86_64" : "i686"
        let libraries = identity.is64Bit ? ["lib/x86_64-linux-gnu", "lib64"] : ["lib/i386-linux-gnu", "lib"]
        return libraries.map { library in
            var path = path
            for (name, value) in [("ORIGIN", origin), ("PLATFORM", platform), ("LIB", library)] {
                path = Self.replace("${\(name)}", by: value, in: path)
                path = Self.replace("$\(name)", by: value, in: path)
            }
            return path
        }
    }

    private static func replace(_ name: String, by value: String, in text: String) -> String {
        var rest = text[...]
        var result = ""
        while let range = rest.firstRange(of: name) {
            result += rest[..<range.lowerBound] + value
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}

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
    package func paths(of name: String, is64Bit: Bool) -> [String] {
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
        let size = min(maximumStringSize, UInt64(bytes.count) - offset)
        guard let part = bytes.part(at: offset, count: size), let end = part.firstIndex(of: 0) else { return nil }
        return ForeignText.text(part[..<end])
    }

    /// "glibc-ld.so.cache1.1", and "ld.so-1.7.0" with its terminating zero.
    private static let magic = Array("glibc-ld.so.cache1.1".utf8)
    private static let oldMagic = Array("ld.so-1.7.0\0".utf8)
    private static let entrySize: UInt64 = 24
    private static let oldEntrySize: UInt64 = 12
    private static let alignment: UInt64 = 8
    /// PATH_MAX.
    private static let maximumStringSize: UInt64 = 4096

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
