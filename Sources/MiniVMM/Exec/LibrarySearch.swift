/// Finds shared libraries where the dynamic loader will find them.
///
/// Where the loader chooses by the processor's abilities, all that it may choose are found.
///
/// Source: ld.so(8), and the GNU C library, elf/dl-load.c (_dl_map_object); musl, ldso/dynlink.c (load_library).
struct LibrarySearch: Sendable {
    /// A program or library that needs others.
    struct Needer: Sendable {
        /// The file's path, as it was found.
        let path: String
        /// What it says.
        let program: ELFProgram
        /// The directory that `$ORIGIN` stands for.
        let origin: String
        /// The directories of its DT_RPATH, and of those of the libraries and the program that led to it.
        let earlyDirectories: [String]
        /// The directories of its DT_RUNPATH.
        let runDirectories: [String]
    }

    let host: HostFiles
    /// The directory that relative paths start from.
    let directory: String
    /// The directories of LD_LIBRARY_PATH in the guest.
    let libraryPath: [String]
    /// Whether the loader is that of musl.
    let isMusl: Bool
    let cache: LibraryCache

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
    func needer(_ path: String, _ program: ELFProgram, neededBy loader: Needer?) -> Needer {
        // The program's own place is that of the file itself; a library's is that under which it was found.
        let place = loader == nil ? (try? host.resolve(path)) ?? path : path
        let origin = PathWalk.parent(of: place)
        let early = directories(program.earlyPath, origin, program.identity)
        return Needer(
            path: path,
            program: program,
            origin: origin,
            earlyDirectories: early + (loader?.earlyDirectories ?? []),
            runDirectories: directories(program.runPath, origin, program.identity)
        )
    }

    /// Finds a library.
    ///
    /// - Returns: All files that the loader may take, one of them for any processor; none if there is no such library.
    func find(_ name: String, for needer: Needer) -> [HostFile] {
        let identity = needer.program.identity
        if name.contains("/") {
            return expand(name, needer.origin, identity).compactMap { usable($0, identity) }
        }
        let early = needer.runDirectories.isEmpty || isMusl ? needer.earlyDirectories : []
        let found = first(name, in: early + libraryPath + needer.runDirectories, identity)
        if !found.isEmpty { return found }
        if isMusl { return first(name, in: Self.muslDirectories, identity) }
        let cached = cache.paths(of: name, is64Bit: identity.is64Bit).compactMap { usable($0, identity) }
        if !cached.isEmpty { return cached }
        return first(name, in: identity.is64Bit ? Self.wideDirectories : Self.narrowDirectories, identity)
    }

    /// The libraries of a name in the first directory that has one.
    private func first(_ name: String, in directories: [String], _ identity: ELFIdentity) -> [HostFile] {
        for directory in directories {
            let names = isMusl ? [name] : Self.variants.map { $0 + name } + [name]
            let found = names.compactMap { usable("\(directory)/\($0)", identity) }
            if !found.isEmpty { return found }
        }
        return []
    }

    /// A file, if it is a library for the same kind of processor. The loader passes over others, too.
    private func usable(_ path: String, _ wanted: ELFIdentity) -> HostFile? {
        let path = SearchPath.absolute(path, from: directory)
        guard let resolved = try? host.resolvedStatus(path), resolved.status.kind == .file,
            let bytes = try? host.read(resolved.path), let identity = ELFIdentity(bytes),
            identity.is64Bit == wanted.is64Bit, identity.machine == wanted.machine
        else { return nil }
        return HostFile(path: path, bytes: bytes)
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
