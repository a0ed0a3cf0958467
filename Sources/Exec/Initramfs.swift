public import Host

/// Builds the archive of a Linux guest's first root file system, in memory.
///
/// The archive depends only on what is added and in which order: all times are 0, all owners root.
///
/// Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst (the "newc" format of cpio).
public struct Initramfs: Sendable {
    private var bytes: [UInt8] = []
    /// What there is, by the bytes of its name: two texts can be equal whose bytes are not.
    private var kinds: [[UInt8]: Kind] = [:]
    private var nextInode: UInt32 = 1

    private enum Kind: UInt32 {
        case regular = 0o100_000
        case directory = 0o040_000
        case symbolicLink = 0o120_000
        case characterDevice = 0o020_000
        case blockDevice = 0o060_000
    }

    private static let magic = "070701"
    private static let trailer = "TRAILER!!!"
    /// Headers with their names, and contents, are each padded to this.
    private static let alignment = 4
    /// What the whole archive is padded to, as cpio(1) does.
    private static let blockSize = 512
    private static let permissionMask: UInt32 = 0o7777
    /// PATH_MAX, which counts the terminating zero.
    private static let maximumPathSize = 4096

    /// An archive of nothing.
    public init() {}

    /// Adds a directory, and those above it that are missing. Adding a directory again changes nothing.
    ///
    /// - Parameters:
    ///   - path: The path in the guest, with or without a slash at its start.
    ///   - mode: The permission bits.
    /// - Throws: ``InitramfsError``.
    public mutating func addDirectory(_ path: String, mode: UInt32 = 0o755) throws(InitramfsError) {
        let name = try Self.checkedName(path)
        guard kinds[ForeignText.bytes(name)] != .directory else { return }
        try add(name, .directory, mode: mode)
    }

    /// Adds a file, and the directories above it that are missing.
    ///
    /// - Parameters:
    ///   - path: The path in the guest.
    ///   - contents: The bytes; fewer than 4 GiB.
    ///   - mode: The permission bits.
    /// - Throws: ``InitramfsError``.
    public mutating func addFile(
        _ path: String,
        contents: [UInt8],
        mode: UInt32 = 0o644
    ) throws(InitramfsError) {
        try add(try Self.checkedName(path), .regular, mode: mode, contents: contents)
    }

    /// Adds a symbolic link, and the directories above it that are missing.
    ///
    /// - Parameters:
    ///   - path: The path in the guest.
    ///   - target: What the link says. It need not exist.
    /// - Throws: ``InitramfsError``.
    public mutating func addSymbolicLink(_ path: String, target: String) throws(InitramfsError) {
        let contents = ForeignText.bytes(target)
        guard !contents.isEmpty, contents.count < Self.maximumPathSize, !contents.contains(0)
        else { throw .invalidPath(target) }
        try add(try Self.checkedName(path), .symbolicLink, mode: 0o777, contents: contents)
    }

    /// Adds a device node, and the directories above it that are missing.
    ///
    /// - Parameters:
    ///   - path: The path in the guest.
    ///   - isBlock: Whether the node is of a block device, not of a character device.
    ///   - major: The number of the driver.
    ///   - minor: The number of the device.
    ///   - mode: The permission bits.
    /// - Throws: ``InitramfsError``.
    public mutating func addDevice(
        _ path: String,
        isBlock: Bool = false,
        major: UInt32,
        minor: UInt32,
        mode: UInt32 = 0o600
    ) throws(InitramfsError) {
        let kind = isBlock ? Kind.blockDevice : .characterDevice
        try add(try Self.checkedName(path), kind, mode: mode, device: (major, minor))
    }

    /// The archive with its end mark. More can be added afterwards, to be had in the next archive.
    public var archive: [UInt8] {
        var result = self
        // The end mark is an entry of no kind.
        result.append(Self.trailer, inode: 0, mode: 0, linkCount: 1)
        result.pad(to: Self.blockSize)
        return result.bytes
    }

    /// The path as the archive has it: without slashes at the ends, and without anything that leads elsewhere.
    private static func checkedName(_ path: String) throws(InitramfsError) -> String {
        let parts = PathWalk.parts(of: path)
        let name = parts.joined(separator: "/")
        guard !parts.isEmpty, !parts.contains("."), !parts.contains(".."), !name.utf8.contains(0),
            ForeignText.bytes(name).count < maximumPathSize, name != trailer
        else { throw .invalidPath(path) }
        return name
    }

    /// Adds an entry and the directories above it.
    private mutating func add(
        _ name: String,
        _ kind: Kind,
        mode: UInt32,
        contents: [UInt8] = [],
        device: (major: UInt32, minor: UInt32) = (0, 0)
    ) throws(InitramfsError) {
        guard kinds[ForeignText.bytes(name)] == nil else { throw .occupied("/" + name) }
        guard UInt32(exactly: contents.count) != nil else { throw .oversized(path: "/" + name, size: contents.count) }
        for parent in Self.parents(of: name) {
            switch kinds[ForeignText.bytes(parent)] {
            case nil: put(parent, .directory, mode: 0o755)
            // The kernel follows a link when it unpacks what lies behind it.
            case .directory, .symbolicLink: break
            default: throw .occupied("/" + parent)
            }
        }
        put(name, kind, mode: mode, contents: contents, device: device)
    }

    /// The directories above a name, from the top.
    private static func parents(of name: String) -> [String] {
        let parts = PathWalk.parts(of: name)
        var above = ""
        return parts.dropLast().map { part in
            above += above.isEmpty ? part : "/" + part
            return above
        }
    }

    /// Appends an entry that is known to have its place.
    private mutating func put(
        _ name: String, _ kind: Kind, mode: UInt32, contents: [UInt8] = [],
        device: (major: UInt32, minor: UInt32) = (0, 0)
    ) {
        kinds[ForeignText.bytes(name)] = kind
        append(
            name,
            inode: nextInode,
            mode: kind.rawValue | (mode & Self.permissionMask),
            // A directory counts its own `.`; a file with more than one would be taken for a hard link.
            linkCount: kind == .directory ? 2 : 1,
            contents: contents,
            device: device
        )
        nextInode &+= 1
    }

    /// Appends an entry: a header of 13 numbers of eight digits in base 16, the name, the contents.
    private mutating func append(
        _ name: String,
        inode: UInt32,
        mode: UInt32,
        linkCount: UInt32,
        contents: [UInt8] = [],
        device: (major: UInt32, minor: UInt32) = (0, 0)
    ) {
        let owner: UInt32 = 0
        let time: UInt32 = 0
        let checksum: UInt32 = 0
        // The device that the file itself is on: 0, 0 for all.
        let home: UInt32 = 0
        // Both sizes were checked to fit.
        let size = UInt32(truncatingIfNeeded: contents.count)
        let nameBytes = ForeignText.bytes(name)
        let nameSize = UInt32(truncatingIfNeeded: nameBytes.count + 1)
        bytes += Self.magic.utf8
        for number in [
            inode, mode, owner, owner, linkCount, time, size, home, home, device.major, device.minor, nameSize,
            checksum,
        ] {
            let digits = String(number, radix: 16, uppercase: true)
            bytes += String(repeating: "0", count: 8 - digits.count).utf8
            bytes += digits.utf8
        }
        bytes += nameBytes
        bytes.append(0)
        pad(to: Self.alignment)
        bytes += contents
        pad(to: Self.alignment)
    }

    private mutating func pad(to alignment: Int) {
        let excess = bytes.count % alignment
        if excess > 0 { bytes += [UInt8](repeating: 0, count: alignment - excess) }
    }
}

/// Why something cannot be put into an initramfs.
public enum InitramfsError: Error, Hashable, Sendable {
    /// The path is empty, too long, or has `.`, `..` or a zero byte in it.
    case invalidPath(String)
    /// There is something else at the path, or at a path above it, already.
    case occupied(String)
    /// The file is larger than the format can state. Bytes.
    case oversized(path: String, size: Int)
}

extension InitramfsError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .invalidPath(let path): "\"\(path)\" cannot be a path in the guest's file system."
        case .occupied(let path): "The guest's file system already has something else at \(path)."
        case .oversized(let path, let size): "\(path) is too large for the guest's file system: \(size) bytes."
        }
    }
}
