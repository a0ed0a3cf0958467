import Boot
import Host

/// The root file system of a guest, as it grows: a part of the host's, with what is put into it besides.
///
/// Where the host has a symbolic link on the way to a file, the guest gets the same link, so that files have all the
/// names there that they have here. What is in the tree already stays: who puts something in first, has it.
struct GuestTree: Sendable {
    private enum Node: Sendable {
        case directory(mode: UInt32)
        case link(target: String)
        case file(bytes: [UInt8], mode: UInt32)
    }

    /// Nodes by the bytes of their paths: two texts can be equal whose bytes are not, such as the two ways to write é.
    private struct NodeTable: Sendable {
        private var nodes: [[UInt8]: Node] = [:]

        subscript(path: String) -> Node? {
            get { nodes[ForeignText.bytes(path)] }
            set { nodes[ForeignText.bytes(path)] = newValue }
        }

        /// All of them, in the order of the bytes.
        var sorted: [(path: String, node: Node)] {
            nodes.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { (ForeignText.text($0.key), $0.value) }
        }
    }

    private let host: HostFiles
    /// The entries, by paths without links. The root itself is not listed.
    private var nodes = NodeTable()

    /// The bytes of all files.
    private(set) var size = 0

    /// Where the guest's kernel has files of its own, which would hide what is put there.
    static let reserved = ["/dev", "/proc", "/sys"]
    private static let directoryMode: UInt32 = 0o755

    /// A tree of nothing.
    init(host: HostFiles) {
        self.host = host
    }

    /// Whether there is a file, a directory or a link at a path without links.
    package func contains(_ path: String) -> Bool {
        nodes[path] != nil
    }

    /// Adds a directory, unless there is one.
    package mutating func addDirectory(_ path: String, mode: UInt32 = directoryMode) throws(ExecError) {
        let place = try makeWay(to: path, followingLast: true)
        switch nodes[place] {
        case nil: nodes[place] = .directory(mode: mode)
        case .directory: break
        default: throw .archive(.occupied(place))
        }
    }

    /// Adds a file with given bytes, unless there is something at its path.
    package mutating func addFile(_ path: String, bytes: [UInt8], mode: UInt32 = 0o644) throws(ExecError) {
        let place = try makeWay(to: path, followingLast: false)
        guard nodes[place] == nil else { return }
        nodes[place] = .file(bytes: bytes, mode: mode)
        size += bytes.count
    }

    /// Adds a link, unless there is something at its path.
    mutating func addLink(_ path: String, target: String) throws(ExecError) {
        let place = try makeWay(to: path, followingLast: false)
        if nodes[place] == nil { nodes[place] = .link(target: target) }
    }

    /// Adds a file of the host at the path that it has there, by way of the same links.
    mutating func mirror(_ file: HostFile) throws(ExecError) {
        let place = try makeWay(to: file.path, followingLast: true)
        guard nodes[place] == nil else { return }
        nodes[place] = .file(bytes: file.bytes, mode: file.mode)
        size += file.bytes.count
    }

    /// Adds the directories and links on the way to a path.
    ///
    /// - Returns: The path without links.
    private mutating func makeWay(to path: String, followingLast: Bool) throws(ExecError) -> String {
        var walk = PathWalk(path)
        var linkCount = 0
        while let next = walk.advance() {
            guard !Self.reserved.contains(next) || walk.isAtEnd else { throw .reserved(path: path) }
            let isLast = walk.isAtEnd
            if isLast, !followingLast { break }
            let target: String
            switch nodes[next] {
            case .link(let known): target = known
            case .directory: continue
            case .file where isLast: continue
            case .file: throw .archive(.occupied(next))
            case nil:
                guard let found = linkTarget(next) else {
                    if !isLast { nodes[next] = .directory(mode: directoryMode(next)) }
                    continue
                }
                nodes[next] = .link(target: found)
                target = found
            }
            linkCount += 1
            guard linkCount <= HostFiles.maximumLinkCount else { throw .unreadable(path: path, .tooManyLinks) }
            walk.follow(target)
        }
        guard !walk.path.isEmpty else { throw .archive(.invalidPath(path)) }
        return walk.path
    }

    /// Where the host has a link at a path, what it says.
    private func linkTarget(_ path: String) -> String? {
        try? host.status(path).kind == .link ? host.linkTarget(path) : nil
    }

    private func directoryMode(_ path: String) -> UInt32 {
        guard let status = try? host.status(path), status.kind == .directory else { return Self.directoryMode }
        return status.mode
    }

    /// The ELF files, by their paths without links.
    var codeFiles: [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for (path, node) in nodes.sorted {
            if case .file(let bytes, _) = node, ELFIdentity(bytes) != nil { files[path] = bytes }
        }
        return files
    }

    /// The archive that the guest's kernel unpacks.
    package func initramfs() throws(ExecError) -> [UInt8] {
        var archive = Initramfs()
        do {
            // A directory stands before what is in it: its path is the beginning of theirs.
            for (path, node) in nodes.sorted {
                switch node {
                case .directory(let mode): try archive.addDirectory(path, mode: mode)
                case .link(let target): try archive.addSymbolicLink(path, target: target)
                case .file(let bytes, let mode): try archive.addFile(path, contents: bytes, mode: mode)
                }
            }
        } catch {
            throw .archive(error)
        }
        return archive.archive
    }
}
