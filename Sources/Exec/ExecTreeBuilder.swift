import Boot

/// Fills the root file system of a guest for one program.
struct ExecTreeBuilder: Sendable {
    /// The file system.
    package var tree: GuestTree

    private let host: HostFiles
    private let directory: String
    private let dependencies: DependencySearch

    init(_ program: ExecProgram, host: HostFiles) {
        self.host = host
        directory = program.directory
        tree = GuestTree(host: host)
        dependencies = DependencySearch(
            host: host,
            directory: program.directory,
            libraryPath: program.environment.value(of: "LD_LIBRARY_PATH") ?? "",
            searchPath: SearchPath(text: program.environment.value(of: "PATH") ?? "")
        )
    }

    /// Adds a program at its own path, with all that it needs.
    package mutating func add(program path: String) throws(ExecError) {
        let file = try file(path)
        try tree.mirror(path, bytes: file.bytes)
        try addNeeds(try dependencies.files(neededBy: file))
    }

    /// Adds a file with what it needs, a directory with all that is in it, or a link.
    package mutating func add(_ addition: ExecAddition) throws(ExecError) {
        let source = SearchPath.absolute(addition.source, from: directory)
        let destination = addition.destination ?? source
        guard destination.hasPrefix("/") else { throw .notAbsolute(path: destination) }
        let (path, status) = try resolve(source)
        switch status.kind {
        case .directory:
            try add(directory: path, at: destination, mode: status.mode)
        case .file:
            let file = try file(source)
            if addition.destination == nil {
                try tree.mirror(source, bytes: file.bytes)
            } else {
                try tree.addFile(destination, bytes: file.bytes, mode: status.mode)
            }
            // Of a program that is asked for by name, it is an error when it could not run.
            if Self.isProgram(file, status) { try addNeeds(try dependencies.files(neededBy: file)) }
        case .link: throw .unreadable(path: source, .tooManyLinks)
        case .other(let kind): throw .notAFile(path: source, kind: kind)
        }
    }

    /// What a program expects to find everywhere.
    mutating func addSystem() throws(ExecError) {
        // What init mounts. /tmp and all else lies in memory anyway.
        for path in ["/dev", "/proc", "/sys", "/root", "/run", "/var"] { try tree.addDirectory(path) }
        try tree.addDirectory("/tmp", mode: 0o1777)
        try tree.addLink("/var/tmp", target: "/tmp")
        if !directory.allSatisfy({ $0 == "/" }) { try tree.addDirectory(directory) }
        try tree.addFile("/etc/passwd", bytes: Array("root:x:0:0:root:/root:/bin/sh\n".utf8))
        try tree.addFile("/etc/group", bytes: Array("root:x:0:\n".utf8))
        try tree.addFile("/etc/hosts", bytes: Array("127.0.0.1 localhost minivmm\n::1 localhost\n".utf8))
        // The loader finds libraries outside of the usual places by it, as on the host.
        if let cache = try? file(DependencySearch.cachePath) {
            try tree.addFile(cache.path, bytes: cache.bytes)
        }
    }

    /// Adds a directory with all that is in it. Links stay links.
    private mutating func add(directory path: String, at destination: String, mode: UInt32) throws(ExecError) {
        try tree.addDirectory(destination, mode: mode)
        let names: [String]
        do {
            names = try host.names(in: path)
        } catch {
            throw .unreadable(path: path, error)
        }
        for name in names {
            let (from, to) = ("\(path)/\(name)", "\(destination)/\(name)")
            switch try kind(from) {
            case (.directory, let mode): try add(directory: from, at: to, mode: mode)
            case (.link, _): try tree.addLink(to, target: try target(from))
            case (.file, let mode): try addMember(HostFile(path: from, bytes: try bytes(from)), at: to, mode: mode)
            case (.other(let kind), _): throw .notAFile(path: from, kind: kind)
            }
        }
    }

    /// Adds a file of a directory. Not everything in it is there to be run, so what needs are missing is no error.
    private mutating func addMember(_ file: HostFile, at destination: String, mode: UInt32) throws(ExecError) {
        try tree.addFile(destination, bytes: file.bytes, mode: mode)
        guard Self.isProgram(file, HostFiles.Status(kind: .file, mode: mode)),
            let needs = try? dependencies.files(neededBy: file)
        else { return }
        try addNeeds(needs)
    }

    private mutating func addNeeds(_ files: [HostFile]) throws(ExecError) {
        for file in files { try tree.mirror(file.path, bytes: file.bytes) }
    }

    /// Whether a file is one that Linux would execute.
    private static func isProgram(_ file: HostFile, _ status: HostFiles.Status) -> Bool {
        status.mode & 0o111 != 0 && (ELFIdentity(file.bytes) != nil || ScriptHeader(file.bytes) != nil)
    }

    private func file(_ path: String) throws(ExecError) -> HostFile {
        HostFile(path: path, bytes: try bytes(resolve(path).path))
    }

    private func bytes(_ path: String) throws(ExecError) -> [UInt8] {
        do {
            return try host.read(path)
        } catch {
            throw .file(error)
        }
    }

    private func resolve(_ path: String) throws(ExecError) -> (path: String, status: HostFiles.Status) {
        do {
            return try host.resolvedStatus(path)
        } catch {
            throw .unreadable(path: path, error)
        }
    }

    private func kind(_ path: String) throws(ExecError) -> (HostFiles.Kind, UInt32) {
        do {
            let status = try host.status(path)
            return (status.kind, status.mode)
        } catch {
            throw .unreadable(path: path, error)
        }
    }

    private func target(_ path: String) throws(ExecError) -> String {
        do {
            return try host.linkTarget(path)
        } catch {
            throw .unreadable(path: path, error)
        }
    }
}
