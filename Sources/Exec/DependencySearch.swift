import Boot
import Host

/// Finds the files that a program needs to run: its interpreter and its shared libraries, and what these need.
///
/// What a program loads only while it runs (dlopen(3), modules of an interpreter) cannot be known; it has to be added
/// by those who know the program.
struct DependencySearch {
    private let sources: HostSources
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
    /// How many names of libraries there can be in all. Large programs have some hundred.
    private static let maximumNameCount = 4096
    private static let typeExecutable: UInt16 = 2
    private static let typeShared: UInt16 = 3
    private static let machineX86: UInt16 = 3

    /// A search.
    ///
    /// - Parameters:
    ///   - sources: Where to look.
    ///   - directory: The directory that relative paths start from.
    ///   - libraryPath: LD_LIBRARY_PATH in the guest.
    ///   - searchPath: PATH in the guest, where env(1) finds the interpreters of scripts.
    init(sources: HostSources, directory: String, libraryPath: String, searchPath: SearchPath) {
        self.sources = sources
        self.directory = directory
        self.libraryPath = libraryPath.split { $0 == ":" || $0 == ";" }.map(String.init)
        self.searchPath = searchPath
        let file = try? sources.find(Self.cachePath, neededBy: Self.cachePath)
        cache = file.map { LibraryCache($0.bytes) } ?? LibraryCache()
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

    /// A script's interpreter with all that it needs, and what env(1) will probably look for if that is the interpreter.
    private func interpreters(of file: HostFile, _ header: ScriptHeader, depth: Int) throws(ExecError) -> [HostFile] {
        var found = FileList()
        let path = SearchPath.absolute(header.interpreter, from: directory)
        try add(program: path, to: &found, neededBy: file.path, depth: depth)
        if let name = header.programOfEnv {
            do {
                let path = try searchPath.find(name, from: directory, in: sources.host)
                var guessed = found
                try add(program: path, to: &guessed, neededBy: file.path, depth: depth)
                found = guessed
            } catch {
                if case .tooMuch = error { throw error }
                // The script may do without, and env need not be what it is called.
                sources.note(.programNotThere(name: name, script: file.path))
            }
        }
        return found.files
    }

    private func add(
        program path: String, to found: inout FileList, neededBy needer: String, depth: Int
    ) throws(ExecError) {
        let program = try executable(path, neededBy: needer)
        found.add(program)
        for needed in try files(neededBy: program, depth: depth + 1) { found.add(needed) }
    }

    /// A program's loader and libraries, the libraries' libraries, and so on.
    private func libraries(of file: HostFile, _ program: ELFProgram) throws(ExecError) -> [HostFile] {
        guard program.interpreter != nil || !program.libraries.isEmpty else { return [] }
        var found = FileList()
        let loader = try program.interpreter.map { path throws(ExecError) in
            try self.loader(SearchPath.absolute(path, from: directory), of: program, at: file.path)
        }
        if let loader { found.add(loader) }
        let isMusl = loader.map { PathWalk.lastPart(of: $0.path).hasPrefix("ld-musl-") } ?? false
        let search = LibrarySearch(
            sources: sources, directory: directory, libraryPath: libraryPath, isMusl: isMusl, cache: cache)

        var names: Set<String> = []
        var needers = [try search.needer(file.path, program, neededBy: nil)]
        var next = 0
        while next < needers.count {
            let needer = needers[next]
            next += 1
            for name in needer.program.libraries where names.insert(name).inserted {
                // musl's loader is the C library itself.
                if isMusl, name == "libc.so" || name.hasPrefix("libc.musl-") { continue }
                guard names.count <= Self.maximumNameCount
                else { throw .tooMuch(.libraries(Self.maximumNameCount), neededBy: file.path) }
                let files = try search.find(name, for: needer)
                guard !files.isEmpty else { throw .missing(name: name, neededBy: needer.path) }
                try add(files, neededBy: needer, search, &found, &needers)
            }
        }
        guard !isMusl, let main = needers.first else { return found.files }
        for name in Self.loadedByName where names.insert(name).inserted {
            // Its own libraries are the C library, which is there.
            for library in try search.find(name, for: main) { found.add(library) }
        }
        return found.files
    }

    /// Takes libraries into account that were found.
    private func add(
        _ files: [HostFile],
        neededBy needer: LibrarySearch.Needer,
        _ search: LibrarySearch,
        _ found: inout FileList,
        _ needers: inout [LibrarySearch.Needer]
    ) throws(ExecError) {
        // Under another name it is the same library: it is put into the guest, and asked nothing again.
        for file in files where found.add(file) {
            let program: ELFProgram?
            do {
                program = try ELFProgram(file.bytes)
            } catch {
                throw .notExecutable(path: file.path, reason: "is a damaged ELF library: \(error.problem)")
            }
            // What was found is an ELF file.
            if let program { needers.append(try search.needer(file.path, program, neededBy: needer)) }
        }
    }

    /// The dynamic loader that a program names. Linux executes it: so it is an executable program for the same
    /// processor, and nothing else of the host's is put into the guest because a file says so.
    private func loader(_ path: String, of program: ELFProgram, at needer: String) throws(ExecError) -> HostFile {
        guard let file = try sources.find(path, neededBy: needer) else { throw .missing(name: path, neededBy: needer) }
        let identity = ELFIdentity(file.bytes)
        guard file.isExecutable, let identity, identity.is64Bit == program.identity.is64Bit,
            identity.machine == program.identity.machine,
            identity.type == Self.typeExecutable || identity.type == Self.typeShared
        else {
            throw .notExecutable(
                path: needer, reason: "names \(path) as its loader, which is no executable program for its processor")
        }
        return file
    }

    /// A program or script that a script names, and that Linux would execute.
    private func executable(_ path: String, neededBy needer: String) throws(ExecError) -> HostFile {
        guard let file = try sources.find(path, neededBy: needer) else { throw .missing(name: path, neededBy: needer) }
        guard file.isExecutable
        else { throw .notExecutable(path: path, reason: "has no permission to be executed") }
        return file
    }
}

/// Files in the order in which they were found, each path once.
private struct FileList {
    private(set) var files: [HostFile] = []
    private var paths: Set<[UInt8]> = []
    private var identities: Set<FileIdentity> = []

    /// Adds a file.
    ///
    /// - Returns: Whether it was not there before, under this or another path.
    @discardableResult
    mutating func add(_ file: HostFile) -> Bool {
        guard paths.insert(ForeignText.bytes(file.path)).inserted else { return false }
        files.append(file)
        return file.identity.map { identities.insert($0).inserted } ?? true
    }
}
