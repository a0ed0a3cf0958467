import Boot
import Host

/// Fills the root file system of a guest for one program.
struct ExecTreeBuilder {
    /// The file system.
    package var tree: GuestTree

    /// What was taken of the host.
    let sources: HostSources

    private var host: HostFiles { sources.host }
    private let directory: String
    private let dependencies: DependencySearch

    init(_ program: ExecProgram, host: HostFiles) {
        sources = HostSources(host: host)
        directory = program.directory
        tree = GuestTree(host: host)
        dependencies = DependencySearch(
            sources: sources,
            directory: program.directory,
            libraryPath: program.environment.value(of: "LD_LIBRARY_PATH") ?? "",
            searchPath: SearchPath(text: program.environment.value(of: "PATH") ?? "")
        )
    }

    /// Adds a program at its own path, with all that it needs.
    package mutating func add(program path: String) throws(ExecError) {
        let (resolved, _) = try resolve(path)
        let file = try sources.named(path, resolved: resolved)
        try tree.mirror(file)
        try addNeeds(try dependencies.files(neededBy: file))
    }

    /// Adds a file with what it needs, a directory with all that is in it, or a link.
    package mutating func add(_ addition: ExecAddition) throws(ExecError) {
        let source = SearchPath.absolute(addition.source, from: directory)
        let destination = addition.destination ?? source
        guard PathWalk.isAbsolute(destination) else { throw .notAbsolute(path: destination) }
        let (path, status) = try resolve(source)
        switch status.kind {
        case .directory:
            try add(directory: path, at: destination, mode: status.mode)
        case .file:
            let file = try sources.named(source, resolved: path)
            if addition.destination == nil {
                try tree.mirror(file)
            } else {
                try tree.addFile(destination, bytes: file.bytes, mode: file.mode)
            }
            // Of a program that is asked for by name, it is an error when it could not run.
            if Self.isProgram(file) { try addNeeds(try dependencies.files(neededBy: file)) }
        case .link: throw .unreadable(path: source, .tooManyLinks)
        case .other(let kind): throw .notAFile(path: source, kind: kind)
        }
    }

    /// Makes the directory that a folder of the host is mounted at.
    mutating func add(_ share: ExecShare) throws(ExecError) -> ExecOrder.Share {
        let source = SearchPath.absolute(share.source, from: directory)
        let destination: String
        if let wanted = share.destination { destination = wanted } else { destination = try resolve(source).path }
        guard share.destination == nil || PathWalk.isAbsolute(destination)
        else { throw .notAbsolute(path: destination) }
        var walk = PathWalk(destination)
        var place = ""
        while let next = walk.advance() { place = next }
        guard !place.isEmpty, !GuestTree.reserved.contains(place)
        else { throw .reserved(path: place.isEmpty ? "/" : place) }
        try tree.addDirectory(place)
        return ExecOrder.Share(
            tag: ForeignText.bytes(share.tag), path: ForeignText.bytes(place), isReadOnly: share.isReadOnly)
    }

    /// The bytes of a file of the host that is named by us.
    func bytes(_ path: String) throws(ExecError) -> [UInt8] {
        let (resolved, _) = try resolve(path)
        return try sources.named(path, resolved: resolved).bytes
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
        if let cache = try? sources.find(DependencySearch.cachePath, neededBy: DependencySearch.cachePath) {
            try tree.addFile(cache.path, bytes: cache.bytes)
        }
    }

    /// Adds a directory with all that is in it. Links stay links.
    ///
    /// How deep directories lie in each other is not ours to say, so the way through them is a list and no recursion.
    private mutating func add(directory path: String, at destination: String, mode: UInt32) throws(ExecError) {
        var members = [Member(source: path, destination: destination, kind: .directory, mode: mode)]
        while let member = members.popLast() {
            switch member.kind {
            case .directory:
                try tree.addDirectory(member.destination, mode: member.mode)
                for name in try names(in: member.source).reversed() {
                    members.append(try self.member(name, of: member))
                }
            case .link: try tree.addLink(member.destination, target: try target(member.source))
            case .file: try addFile(member)
            case .other(let kind): throw .notAFile(path: member.source, kind: kind)
            }
        }
    }

    /// Something in a directory that is added.
    private struct Member {
        let source: String
        let destination: String
        let kind: HostFiles.Kind
        let mode: UInt32
    }

    private func member(_ name: String, of directory: Member) throws(ExecError) -> Member {
        let (from, to) = ("\(directory.source)/\(name)", "\(directory.destination)/\(name)")
        do {
            let status = try host.status(from)
            return Member(source: from, destination: to, kind: status.kind, mode: status.mode)
        } catch {
            throw .unreadable(path: from, error)
        }
    }

    private func names(in directory: String) throws(ExecError) -> [String] {
        do {
            return try host.names(in: directory)
        } catch {
            throw .unreadable(path: directory, error)
        }
    }

    /// Adds a file of a directory. Not everything in it is there to be run, so what needs are missing is no error.
    private mutating func addFile(_ member: Member) throws(ExecError) {
        let file = try sources.named(member.source, resolved: member.source)
        try tree.addFile(member.destination, bytes: file.bytes, mode: file.mode)
        guard Self.isProgram(file) else { return }
        do {
            try addNeeds(try dependencies.files(neededBy: file))
        } catch .tooMuch(let limit, let needer) {
            throw .tooMuch(limit, neededBy: needer)
        } catch {
            return
        }
    }

    private mutating func addNeeds(_ files: [HostFile]) throws(ExecError) {
        for file in files { try tree.mirror(file) }
    }

    /// Whether a file is one that Linux would execute.
    private static func isProgram(_ file: HostFile) -> Bool {
        file.isExecutable && (ELFIdentity(file.bytes) != nil || ScriptHeader(file.bytes) != nil)
    }

    private func resolve(_ path: String) throws(ExecError) -> (path: String, status: HostFiles.Status) {
        do {
            return try host.resolvedStatus(path)
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
