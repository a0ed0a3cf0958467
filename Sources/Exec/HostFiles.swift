package import Boot
import CKVM
import Glibc
package import Host

/// The files of the host, or of a tree that is taken for one: absolute symbolic links then lead to the tree's root.
package ///
/// Paths are absolute. Links are followed here and not by the system, so that none leads out of the tree.
    struct HostFiles: Sendable
{
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
        self.root = root
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
        guard let target = String(validating: bytes, as: UTF8.self) else { throw .illegalBytes }
        return target
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

    /// The bytes of a file, which may be empty.
    ///
    /// - Parameter path: A path without links, as ``resolve(_:)`` gives it.
    package func read(_ path: String) throws(ImageError) -> [UInt8] {
        do {
            return try ImageFile(reading: hostPath(path)).bytes
        } catch .empty {
            return []
        }
    }

    /// The names in a directory, in the order of their bytes, without `.` and `..`.
    package func names(in path: String) throws(ErrorNumber) -> [String] {
        guard let directory = unsafe opendir(hostPath(path)) else { throw ErrorNumber(rawValue: errno) }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = try unsafe Self.next(of: directory) {
            // Sound: d_name ends with a zero, and lives until the next readdir(3).
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let name else { throw .illegalBytes }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The next entry of a directory; nil at its end.
    private static func next(of directory: OpaquePointer) throws(ErrorNumber) -> UnsafeMutablePointer<dirent>? {
        errno = 0
        if let entry = unsafe readdir(directory) { return unsafe entry }
        guard errno == 0 else { throw ErrorNumber(rawValue: errno) }
        return nil
    }

    /// Where the system has a path of this tree. Without links, the root is the empty path.
    private func hostPath(_ path: String) -> String {
        path.isEmpty ? root + "/" : root + path
    }
}

extension ErrorNumber {
    static let tooManyLinks = ErrorNumber(rawValue: ELOOP)
    package static let brokenPipe = ErrorNumber(rawValue: EPIPE)
    static let illegalBytes = ErrorNumber(rawValue: EILSEQ)
}

/// A file of the host, with its bytes.
struct HostFile: Hashable, Sendable {
    /// The path by which it was asked for; there may be links on the way.
    package let path: String
    /// What is in it.
    package let bytes: [UInt8]
}

/// A walk along an absolute path, one part at a time, that can be led elsewhere by symbolic links.
struct PathWalk: Sendable {
    /// Where the walk stands: a path without links, `.` or `..`. Empty at the root.
    private(set) var path = ""
    /// The parts that are still to come, the next one last.
    private var rest: [Substring]

    /// A walk from the root.
    init(_ path: String) {
        rest = path.split(separator: "/").reversed()
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
        path = target.hasPrefix("/") ? "" : Self.parent(of: path)
        rest += target.split(separator: "/").reversed()
    }

    /// The path without its last part; empty for what stands in the root.
    package static func parent(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    /// The last part of a path.
    static func lastPart(of path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? ""
    }
}
