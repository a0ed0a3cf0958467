import Boot

/// Finds the files that a program needs to run: its interpreter and its shared libraries, and what these need.
///
/// What a program loads only while it runs (dlopen(3), modules of an interpreter) cannot be known; it has to be added
/// by those who know the program.
struct DependencySearch: Sendable {
    private let host: HostFiles
    private let directory: String
    private let libraryPath: [String]
    private let searchPath: SearchPath
    private let cache: LibraryCache

    /// The loader's list of libraries. Source: ld.so(8).
    static let cachePath = "/etc/ld.so.cache"
    /// A script's interpreter can be a script itself, up to a limit. Source: Linux, fs/exec.c (exec_binprm).
    private static let maximumScriptDepth = 5
    /// What the C library loads by itself when a thread is cancelled or a backtrace made.
    private static let loadedByName = ["libgcc_s.so.1"]
    private static let typeExecutable: UInt16 = 2
    private static let typeShared: UInt16 = 3
    private static let machineX86: UInt16 = 3

    /// A search.
    ///
    /// - Parameters:
    ///   - host: Where to look.
    ///   - directory: The directory that relative paths start from.
    ///   - libraryPath: LD_LIBRARY_PATH in the guest.
    ///   - searchPath: PATH in the guest, where env(1) finds the interpreters of scripts.
    init(host: HostFiles, directory: String, libraryPath: String, searchPath: SearchPath) {
        self.host = host
        self.directory = directory
        self.libraryPath = libraryPath.split { $0 == ":" || $0 == ";" }.map(String.init)
        self.searchPath = searchPath
        let bytes = (try? host.resolve(Self.cachePath)).flatMap { try? host.read($0) }
        cache = bytes.map(LibraryCache.init) ?? LibraryCache()
    }

    /// The files that a program needs besides itself, each once.
    ///
    /// - Throws: ``ExecError`` when it is no program for the guest, or something that it needs is not there.
    package func files(neededBy file: HostFile) throws(ExecError) -> [HostFile] {
        try files(neededBy: file, depth: 0)
    }

    private func files(neededBy file: HostFile, depth: Int) throws(ExecError) -> [HostFile] {
        if let header = ScriptHeader(file.bytes) {
            guard depth < Self.maximumScriptDepth
            else { throw .notExecutable(path: file.path, reason: "is a script with too many scripts for interpreters") }
            return try interpreters(of: file, header, depth: depth)
        }
        return try libraries(of: file, Self.program(file))
    }

    /// The program in a file, if the guest's processor can run it.
    private static func program(_ file: HostFile) throws(ExecError) -> ELFProgram {
        let program: ELFProgram?
        do {
            program = try ELFProgram(file.bytes)
        } catch {
            throw .notExecutable(path: file.path, reason: "is a damaged ELF program: \(error.problem)")
        }
        guard let program else {
            let reason = file.bytes.isEmpty ? "is empty" : "is neither an ELF program nor a script that begins with #!"
            throw .notExecutable(path: file.path, reason: reason)
        }
        let identity = program.identity
        let isX86 = !identity.is64Bit && identity.isLittleEndian && identity.machine == machineX86
        guard identity.isX8664 || isX86
        else { throw .notExecutable(path: file.path, reason: "is \(identity), and the guest's processor is x86-64") }
        guard identity.type == typeExecutable || identity.type == typeShared
        else { throw .notExecutable(path: file.path, reason: "is \(identity), not a program") }
        return program
    }

    /// A script's interpreter, and what env(1) looks for if that is the interpreter, with all that these need.
    private func interpreters(of file: HostFile, _ header: ScriptHeader, depth: Int) throws(ExecError) -> [HostFile] {
        var paths = [SearchPath.absolute(header.interpreter, from: directory)]
        if let name = header.programOfEnv {
            do {
                paths.append(try searchPath.find(name, from: directory, in: host))
            } catch {
                throw .missing(name: name, neededBy: file.path)
            }
        }
        var found: [HostFile] = []
        for path in paths {
            let interpreter = try read(path, neededBy: file.path)
            found.append(interpreter)
            let needs = try files(neededBy: interpreter, depth: depth + 1)
            found += needs.filter { needed in !found.contains { $0.path == needed.path } }
        }
        return found
    }

    /// A program's loader and libraries, the libraries' libraries, and so on.
    private func libraries(of file: HostFile, _ program: ELFProgram) throws(ExecError) -> [HostFile] {
        guard program.interpreter != nil || !program.libraries.isEmpty else { return [] }
        var found: [HostFile] = []
        let loader = try program.interpreter.map { path throws(ExecError) in
            try read(SearchPath.absolute(path, from: directory), neededBy: file.path)
        }
        if let loader { found.append(loader) }
        let isMusl = loader.map { PathWalk.lastPart(of: $0.path).hasPrefix("ld-musl-") } ?? false
        let search = LibrarySearch(
            host: host, directory: directory, libraryPath: libraryPath, isMusl: isMusl, cache: cache)

        var names: Set<String> = []
        var needers = [search.needer(file.path, program, neededBy: nil)]
        var next = 0
        while next < needers.count {
            let needer = needers[next]
            next += 1
            for name in needer.program.libraries where names.insert(name).inserted {
                // musl's loader is the C library itself.
                if isMusl, name == "libc.so" || name.hasPrefix("libc.musl-") { continue }
                let files = search.find(name, for: needer)
                guard !files.isEmpty else { throw .missing(name: name, neededBy: needer.path) }
                try add(files, neededBy: needer, search, &found, &needers)
            }
        }
        guard !isMusl, let main = needers.first else { return found }
        for name in Self.loadedByName where names.insert(name).inserted {
            // Its own libraries are the C library, which is there.
            found += search.find(name, for: main)
        }
        return found
    }

    /// Takes libraries into account that were found.
    private func add(
        _ files: [HostFile],
        neededBy needer: LibrarySearch.Needer,
        _ search: LibrarySearch,
        _ found: inout [HostFile],
        _ needers: inout [LibrarySearch.Needer]
    ) throws(ExecError) {
        for file in files where !found.contains(where: { $0.path == file.path }) {
            found.append(file)
            do {
                // What was found is an ELF file.
                guard let program = try ELFProgram(file.bytes) else { continue }
                needers.append(search.needer(file.path, program, neededBy: needer))
            } catch {
                throw .notExecutable(path: file.path, reason: "is a damaged ELF library: \(error.problem)")
            }
        }
    }

    private func read(_ path: String, neededBy needer: String) throws(ExecError) -> HostFile {
        guard let resolved = try? host.resolvedStatus(path), resolved.status.kind == .file
        else { throw .missing(name: path, neededBy: needer) }
        do {
            return HostFile(path: path, bytes: try host.read(resolved.path))
        } catch {
            throw .file(error)
        }
    }
}

/// The first line of a script: `#!`, an interpreter, and perhaps one argument.
///
/// Source: Linux, fs/binfmt_script.c.
struct ScriptHeader: Hashable, Sendable {
    /// The interpreter's path.
    let interpreter: String
    /// What is behind it, if anything.
    package let argument: String

    /// How much of the file the kernel looks at. Source: Linux, BINPRM_BUF_SIZE.
    private static let maximumSize = 256

    /// Reads the line.
    ///
    /// - Returns: Nil when the file does not begin like a script, or names no interpreter.
    init?(_ bytes: [UInt8]) {
        guard bytes.hasBytes(Array("#!".utf8), at: 0) else { return nil }
        let line = bytes.prefix(Self.maximumSize).dropFirst(2).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
        guard let text = String(validating: line, as: UTF8.self) else { return nil }
        let words = text.split(maxSplits: 1, omittingEmptySubsequences: true) { Self.isBlank($0) }
        guard let interpreter = words.first else { return nil }
        self.interpreter = String(interpreter)
        let rest = words.dropFirst().first?.drop(while: Self.isBlank) ?? ""
        argument = String(rest.reversed().drop(while: Self.isBlank).reversed())
    }

    /// The program that env(1) is asked for, when it is the interpreter.
    var programOfEnv: String? {
        guard PathWalk.lastPart(of: interpreter) == "env" else { return nil }
        return argument.split(whereSeparator: Self.isBlank).first { !$0.hasPrefix("-") && !$0.contains("=") }
            .map(String.init)
    }

    private static func isBlank(_ character: Character) -> Bool {
        character == " " || character == "\t"
    }
}
