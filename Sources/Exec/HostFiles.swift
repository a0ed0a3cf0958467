package import Boot
import CKVM
import Glibc
package import Host

/// The files of the host, or of a tree that is taken for one: absolute symbolic links then lead to the tree's root.
///
/// Paths are absolute, and any bytes, as ``ForeignText`` has them. Links are followed here and not by the system, so
/// that none leads out of the tree.
package struct HostFiles: Sendable {
    /// What a path leads to.
    package enum Kind: Hashable, Sendable {
        case file
        case directory
        case link
        /// A device, a pipe or a socket; in words, with its article.
        case other(String)
    }

    /// A path's end, as lstat(2) describes it.
    package struct Status: Hashable, Sendable {
        package let kind: Kind
        /// The permission bits.
        package let mode: UInt32
    }

    /// The directory that is taken for the root; empty for the host's own.
    package let root: String

    /// The files below a directory, or those of the host.
    init(root: String = "") {
        guard !root.isEmpty, let resolved = unsafe realpath(ForeignText.cString(root), nil) else {
            self.root = root
            return
        }
        defer { unsafe free(resolved) }
        // Sound: realpath(3) returns a string that ends with a zero, to be freed.
        self.root = unsafe ForeignText.text(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
    }

    /// How many links are followed on one path. Source: Linux, MAXSYMLINKS.
    static let maximumLinkCount = 40

    /// What stands at a path, whose last part may be a link that is not followed.
    package func status(_ path: String) throws(ErrorNumber) -> Status {
        var result = stat()
        guard unsafe lstat(hostPath(path), &result) == 0 else { throw ErrorNumber(rawValue: errno) }
        let kind: Kind =
            switch result.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .link
            case S_IFIFO: .other("a pipe")
            case S_IFCHR: .other("a character device")
            case S_IFBLK: .other("a block device")
            default: .other("a socket")
            }
        return Status(kind: kind, mode: result.st_mode & 0o7777)
    }

    /// What a link says.
    func linkTarget(_ path: String) throws(ErrorNumber) -> String {
        var failure: Int32 = 0
        let size = Int(PATH_MAX)
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            let result = unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                unsafe text.baseAddress.map { unsafe readlink(hostPath(path), $0, size) } ?? 0
            }
            if result < 0 { failure = errno }
            // Sound: readlink(2) has written that many bytes, and no more than there is room for.
            count = max(0, result)
        }
        guard failure == 0 else { throw ErrorNumber(rawValue: failure) }
        return ForeignText.text(bytes)
    }

    /// The path by which a file is reached without any link, whether or not its last part is there.
    package func resolve(_ path: String) throws(ErrorNumber) -> String {
        var walk = PathWalk(path)
        var linkCount = 0
        while let next = walk.advance() {
            guard let status = try? status(next), status.kind == .link else { continue }
            linkCount += 1
            guard linkCount <= Self.maximumLinkCount else { throw .tooManyLinks }
            walk.follow(try linkTarget(next))
        }
        return walk.path
    }

    /// The path without links, and what stands there.
    func resolvedStatus(_ path: String) throws(ErrorNumber) -> (path: String, status: Status) {
        let resolved = try resolve(path)
        return (resolved, try status(resolved))
    }

    /// Opens a regular file, whose bytes are then those of what was looked at, whatever becomes of its path.
    ///
    /// - Parameter path: A path without links, as ``resolve(_:)`` gives it. A link that has come there meanwhile is not
    ///   followed.
    /// - Throws: An error number; `EINVAL` when there is no regular file but something else.
    func open(_ path: String) throws(ErrorNumber) -> OpenHostFile {
        var file = ckvm_file()
        let result = unsafe ckvm_open_regular(hostPath(path), &file)
        guard result >= 0 else { throw ErrorNumber(rawValue: 0 &- result) }
        return OpenHostFile(path: path, descriptor: OwnedDescriptor(takingOver: result), file: file)
    }

    /// The bytes of a regular file, which may be empty.
    ///
    /// - Parameter path: A path without links, as ``resolve(_:)`` gives it.
    package func read(_ path: String) throws(ImageError) -> [UInt8] {
        let file: OpenHostFile
        do {
            file = try open(path)
        } catch {
            throw .unreadable(path: path, error)
        }
        return try file.bytes()
    }

    /// The names in a directory, in the order of their bytes, without `.` and `..`.
    package func names(in path: String) throws(ErrorNumber) -> [String] {
        guard let directory = unsafe opendir(hostPath(path)) else { throw ErrorNumber(rawValue: errno) }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = try unsafe Self.next(of: directory) {
            // Sound: d_name ends with a zero, and lives until the next readdir(3).
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe ForeignText.text(bytes.prefix { $0 != 0 })
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { ForeignText.bytes($0).lexicographicallyPrecedes(ForeignText.bytes($1)) }
    }

    /// The next entry of a directory; nil at its end.
    private static func next(of directory: OpaquePointer) throws(ErrorNumber) -> UnsafeMutablePointer<dirent>? {
        errno = 0
        if let entry = unsafe readdir(directory) { return unsafe entry }
        guard errno == 0 else { throw ErrorNumber(rawValue: errno) }
        return nil
    }

    /// Where the system has a path of this tree. Without links, the root is the empty path.
    private func hostPath(_ path: String) -> [CChar] {
        ForeignText.cString(path.isEmpty ? root + "/" : root + path)
    }
}

/// A regular file of the host that is open.
struct OpenHostFile: ~Copyable {
    private let path: String
    private let descriptor: OwnedDescriptor
    private let file: ckvm_file

    fileprivate init(path: String, descriptor: consuming OwnedDescriptor, file: ckvm_file) {
        self.path = path
        self.descriptor = descriptor
        self.file = file
    }

    /// Which file it is, under all its names.
    var identity: FileIdentity { FileIdentity(device: file.device, inode: file.inode) }
    /// The permission bits.
    var mode: UInt32 { file.mode & 0o7777 }
    /// Its size in bytes, as the system states it.
    var size: UInt64 { file.size }
    /// Whether the kernel makes up what is in it, as in /proc.
    var isSynthetic: Bool { file.is_synthetic }

    /// What is in it. To be asked once.
    func bytes() throws(ImageError) -> [UInt8] {
        let expectedSize = Int(clamping: file.size)
        do {
            return try ImageFile(path: path, reading: descriptor.number, expectedSize: expectedSize).bytes
        } catch .empty {
            return []
        }
    }
}

/// What makes two files the same, whatever they are called.
struct FileIdentity: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64
}

extension ErrorNumber {
    static let tooManyLinks = ErrorNumber(rawValue: ELOOP)
    package static let brokenPipe = ErrorNumber(rawValue: EPIPE)
    /// What ``HostFiles/open(_:)`` has for something that is no regular file.
    static let notARegularFile = ErrorNumber(rawValue: EINVAL)
}

/// A file of the host, with its bytes.
struct HostFile: Hashable, Sendable {
    /// The path by which it was asked for; there may be links on the way.
    package let path: String
    /// What is in it.
    package let bytes: [UInt8]
    /// The permission bits.
    var mode: UInt32 = 0o755
    /// Which file it is; nil for bytes that come from elsewhere.
    var identity: FileIdentity?

    /// Whether somebody may execute it.
    var isExecutable: Bool { mode & 0o111 != 0 }
}

/// A walk along an absolute path, one part at a time, that can be led elsewhere by symbolic links.
struct PathWalk: Sendable {
    /// Where the walk stands: a path without links, `.` or `..`. Empty at the root.
    private(set) var path = ""
    /// The parts that are still to come, the next one last.
    private var rest: [String]

    /// A walk from the root.
    init(_ path: String) {
        rest = Self.parts(of: path).reversed()
    }

    /// Whether there are no more parts.
    package var isAtEnd: Bool { rest.isEmpty }

    /// Goes on by a part.
    ///
    /// - Returns: The path with that part; nil when there is none left.
    mutating func advance() -> String? {
        while let part = rest.popLast() {
            switch part {
            case ".": continue
            case "..": path = Self.parent(of: path)
            default:
                path += "/" + part
                return path
            }
        }
        return nil
    }

    /// Goes where a link leads that stands where the walk has just arrived.
    package mutating func follow(_ target: String) {
        path = Self.isAbsolute(target) ? "" : Self.parent(of: path)
        rest += Self.parts(of: target).reversed()
    }

    /// Whether a path begins at the root. By its bytes: a slash with a combining mark is no other character here.
    static func isAbsolute(_ path: String) -> Bool {
        path.utf8.first == slash
    }

    /// The parts of a path between its slashes.
    static func parts(of path: String) -> [String] {
        path.utf8.split(separator: slash).map { String(Substring($0)) }
    }

    /// The path without its last part; empty for what stands in the root.
    package static func parent(of path: String) -> String {
        path.utf8.lastIndex(of: slash).map { String(path[..<$0]) } ?? ""
    }

    /// The last part of a path.
    static func lastPart(of path: String) -> String {
        parts(of: path).last ?? ""
    }

    private static let slash = UInt8(ascii: "/")
}
