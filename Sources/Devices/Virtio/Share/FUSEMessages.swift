import CKVM
import Host

/// What a guest's kernel asks of a file system.
///
/// Source: Linux, include/uapi/linux/fuse.h, enum fuse_opcode.
enum FUSEOperation: UInt32, CaseIterable, Sendable {
    case lookup = 1
    case forget = 2
    case getAttributes = 3
    case setAttributes = 4
    case readLink = 5
    case makeLink = 6
    case makeNode = 8
    case makeFolder = 9
    case removeFile = 10
    case removeFolder = 11
    case rename = 12
    case addName = 13
    case open = 14
    case read = 15
    case write = 16
    case statistics = 17
    case release = 18
    case synchronize = 20
    case flush = 25
    case initialize = 26
    case openFolder = 27
    case readFolder = 28
    case releaseFolder = 29
    case synchronizeFolder = 30
    case create = 35
    case destroy = 38
    case forgetSeveral = 42
    case allocate = 43
    case readFolderPlus = 44
    case renameWithFlags = 45
    case seek = 46
    case synchronizeAll = 50

    /// Whether it is answered.
    var hasReply: Bool { self != .forget && self != .forgetSeveral }

    /// Whether it changes the file system, whatever its arguments are.
    var isChange: Bool {
        switch self {
        case .setAttributes, .makeLink, .makeNode, .makeFolder, .removeFile, .removeFolder, .rename, .addName, .write,
            .create, .allocate, .renameWithFlags:
            true
        case .lookup, .forget, .getAttributes, .readLink, .open, .read, .statistics, .release, .synchronize, .flush,
            .initialize, .openFolder, .readFolder, .releaseFolder, .synchronizeFolder, .destroy, .forgetSeveral,
            .readFolderPlus, .seek, .synchronizeAll:
            false
        }
    }
}

/// The version of the protocol, and what is agreed upon at its start.
///
/// Source: Linux, include/uapi/linux/fuse.h, struct fuse_init_in and fuse_init_out.
enum FUSEProtocol {
    static let major: UInt32 = 7
    /// The newest version that is spoken: Linux 6.2's.
    static let newestMinor: UInt32 = 38
    /// The oldest: Linux 5.4's, the first that has virtio-fs.
    static let oldestMinor: UInt32 = 31
    /// From this one on, a file may say that it is not to be flushed when it is closed (FOPEN_NOFLUSH).
    static let noFlushMinor: UInt32 = 35

    /// What the guest may do that this file system can take.
    enum Feature {
        static let asynchronousReads: UInt32 = 1 << 0
        static let truncatingOpen: UInt32 = 1 << 3
        static let bigWrites: UInt32 = 1 << 5
        static let dropsChangedData: UInt32 = 1 << 12
        static let readFolderPlus: UInt32 = 1 << 13
        static let readFolderPlusWhenUseful: UInt32 = 1 << 14
        static let parallelFolderOperations: UInt32 = 1 << 18
        static let requestSize: UInt32 = 1 << 22

        static let all =
            asynchronousReads | truncatingOpen | bigWrites | dropsChangedData | readFolderPlus
            | readFolderPlusWhenUseful | parallelFolderOperations | requestSize
    }

    /// The most that one request writes, and reads: 1 MiB, with ``Feature/requestSize``.
    static let largestWrite: UInt32 = 1 << 20
    /// The same in pages.
    static let mostPages: UInt16 = 256
    /// The most that one request writes without it.
    static let usualWrite: UInt32 = 1 << 17

    /// FOPEN_NOFLUSH.
    static let opensWithoutFlush: UInt32 = 1 << 5
    /// How long the guest may believe a name, that there is none, and what it was told of a file: seconds.
    static let validity: UInt64 = 1
    /// The root of the file system.
    static let rootNode: UInt64 = 1
}

/// Which attributes a request sets. Source: Linux, include/uapi/linux/fuse.h, FATTR_*.
struct FUSEAttributes: OptionSet {
    let rawValue: UInt32

    static let mode = Self(rawValue: 1 << 0)
    static let user = Self(rawValue: 1 << 1)
    static let group = Self(rawValue: 1 << 2)
    static let size = Self(rawValue: 1 << 3)
    static let accessTime = Self(rawValue: 1 << 4)
    static let changeTime = Self(rawValue: 1 << 5)
    static let handle = Self(rawValue: 1 << 6)
    static let accessTimeNow = Self(rawValue: 1 << 7)
    static let changeTimeNow = Self(rawValue: 1 << 8)
}

/// A request: its header, and its arguments but for the data of a write. All of it was copied out of the guest's memory
/// once, so that it stays as it was checked.
struct FUSERequest {
    /// struct fuse_in_header.
    static let headerSize = 40
    /// The most bytes of arguments: two names and what stands before them, or the target of a link and its name; and of
    /// ``FUSEOperation/forgetSeveral`` what one page holds.
    private static let largestArguments = 8192

    /// What is asked for; nil for what is not served.
    let operation: FUSEOperation?
    /// The guest's number of the request.
    let unique: UInt64
    /// The file or folder that it is about.
    let node: UInt64
    private let bytes: [UInt8]
    private var position = FUSERequest.headerSize
    /// Where the data of a write starts in the buffers.
    static let writeDataOffset = headerSize + 40

    /// Reads a request.
    ///
    /// - Parameter buffers: What the guest has handed over.
    /// - Returns: Nil when there is no whole header.
    init?(_ buffers: GuestBuffers) {
        guard buffers.byteCount >= Self.headerSize else { return nil }
        let head = buffers.copy(0..<Self.headerSize)
        let number: UInt32 = head.littleEndian(at: 4)
        operation = FUSEOperation(rawValue: number)
        unique = head.littleEndian(at: 8)
        node = head.littleEndian(at: 16)
        let length = Int(head.littleEndian(at: 0, as: UInt32.self))
        // A length that is not that of the buffers is an error of all that have one; the data of a write stays where it is.
        let end = operation == .write ? min(length, Self.writeDataOffset) : length
        isWhole = length == buffers.byteCount && end - Self.headerSize <= Self.largestArguments
        bytes = isWhole ? head + buffers.copy(Self.headerSize..<end) : head
    }

    /// Whether it is as long as it says, and no longer than a request can be.
    let isWhole: Bool

    /// The next number of the arguments.
    mutating func number<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(ErrorNumber) -> Value {
        let size = Value.bitWidth / 8
        guard bytes.count - position >= size else { throw .invalidArgument }
        defer { position += size }
        return bytes.littleEndian(at: position)
    }

    /// Leaves out bytes that have no meaning here.
    mutating func skip(_ count: Int) throws(ErrorNumber) {
        guard bytes.count - position >= count else { throw .invalidArgument }
        position += count
    }

    /// The next text of the arguments, which ends with a zero.
    mutating func text() throws(ErrorNumber) -> [UInt8] {
        guard let end = bytes[position...].firstIndex(of: 0) else { throw .invalidArgument }
        defer { position = end + 1 }
        return Array(bytes[position..<end])
    }

    /// The next name of the arguments: of one part, which leads nowhere else.
    mutating func name() throws(ErrorNumber) -> [UInt8] {
        let name = try text()
        guard !name.isEmpty, !name.contains(UInt8(ascii: "/")), name != Array(".".utf8), name != Array("..".utf8)
        else { throw .invalidArgument }
        guard name.count <= SharedFolder.longestName else { throw .nameTooLong }
        return name
    }

    /// Nothing follows.
    func end() throws(ErrorNumber) {
        guard position == bytes.count else { throw .invalidArgument }
    }
}

/// What a request is answered with.
enum FUSEReply {
    /// struct fuse_out_header.
    static let headerSize = 16
    /// struct fuse_attr.
    static let attributesSize = 88
    /// struct fuse_attr_out.
    static let attributeReplySize = 16 + attributesSize
    /// struct fuse_entry_out.
    static let entrySize = 40 + attributesSize
    /// struct fuse_open_out.
    static let openSize = 16
    /// struct fuse_init_out.
    static let initializeSize = 64
    /// struct fuse_statfs_out.
    static let statisticsSize = 80
    /// struct fuse_dirent without the name.
    static let nameHeaderSize = 24

    /// The header of an answer.
    ///
    /// - Parameters:
    ///   - size: The bytes behind it.
    ///   - error: Why there is none.
    static func header(of unique: UInt64, size: Int, error: ErrorNumber? = nil) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(UInt32(headerSize + size))
        builder.add(0 &- (error?.rawValue ?? 0))
        builder.add(unique)
        return builder.bytes
    }

    /// struct fuse_attr_out.
    static func attributes(_ status: FileStatus, _ owners: FileOwners) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(FUSEProtocol.validity)
        builder.add(UInt64(0))
        add(status, owners, to: &builder)
        return builder.bytes
    }

    /// struct fuse_entry_out, which gives the guest a node for a name.
    static func entry(_ node: UInt64, _ status: FileStatus, _ owners: FileOwners) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(node)
        // Numbers of nodes are not used again.
        builder.add(UInt64(0))
        builder.add(FUSEProtocol.validity)
        builder.add(FUSEProtocol.validity)
        builder.add(UInt64(0))
        add(status, owners, to: &builder)
        return builder.bytes
    }

    /// struct fuse_entry_out, which says that there is nothing of a name.
    static var noEntry: [UInt8] {
        var builder = ByteBuilder()
        builder.add(UInt64(0))
        builder.add(UInt64(0))
        builder.add(FUSEProtocol.validity)
        return builder.bytes + [UInt8](repeating: 0, count: entrySize - builder.bytes.count)
    }

    /// struct fuse_attr.
    private static func add(_ status: FileStatus, _ owners: FileOwners, to builder: inout ByteBuilder) {
        let found = status.found
        builder.add(found.inode)
        builder.add(found.size)
        builder.add(found.blocks)
        for time in [found.access_time, found.change_time, found.status_time] { builder.add(time) }
        for part in [found.access_part, found.change_part, found.status_part] { builder.add(part) }
        builder.add(found.mode)
        builder.add(found.links)
        builder.add(owners.inGuest(user: found.user))
        builder.add(owners.inGuest(group: found.group))
        builder.add(status.namedDevice)
        builder.add(found.block_size)
        builder.add(UInt32(0))
    }

    /// struct fuse_open_out.
    static func open(_ handle: UInt64, flags: UInt32) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(handle)
        builder.add(flags)
        builder.add(UInt32(0))
        return builder.bytes
    }

    /// struct fuse_init_out.
    static func initialize(minor: UInt32, readAhead: UInt32, features: UInt32) -> [UInt8] {
        let isLarge = features & FUSEProtocol.Feature.requestSize != 0
        var builder = ByteBuilder()
        builder.add(FUSEProtocol.major)
        builder.add(minor)
        builder.add(readAhead)
        builder.add(features)
        // How many requests may wait in the background: the guest's own number.
        builder.add(UInt32(0))
        builder.add(isLarge ? FUSEProtocol.largestWrite : FUSEProtocol.usualWrite)
        // Times are exact to the nanosecond.
        builder.add(UInt32(1))
        builder.add(isLarge ? FUSEProtocol.mostPages : 0)
        return builder.bytes + [UInt8](repeating: 0, count: initializeSize - builder.bytes.count)
    }

    /// struct fuse_statfs_out.
    static func statistics(_ system: ckvm_share_system) -> [UInt8] {
        var builder = ByteBuilder()
        for number in [
            system.blocks, system.free_blocks, system.available_blocks, system.files, system.free_files,
        ] { builder.add(number) }
        for number in [system.block_size, system.name_length, system.fragment_size] { builder.add(number) }
        return builder.bytes + [UInt8](repeating: 0, count: statisticsSize - builder.bytes.count)
    }

    /// struct fuse_dirent, padded.
    static func name(_ entry: FolderEntry) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(entry.inode)
        builder.add(entry.next)
        builder.add(UInt32(truncatingIfNeeded: entry.name.count))
        builder.add(UInt32(entry.kind))
        builder.add(entry.name)
        return builder.bytes + [UInt8](repeating: 0, count: padding(of: builder.bytes.count))
    }

    /// The bytes of a struct fuse_dirent with its padding.
    static func nameSize(_ entry: FolderEntry) -> Int {
        let size = nameHeaderSize + entry.name.count
        return size + padding(of: size)
    }

    private static func padding(of size: Int) -> Int { (8 - size % 8) % 8 }
}

extension [UInt8] {
    /// A number at an offset; all of it has to be there.
    func littleEndian<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value {
        var value = Value.zero
        for index in (0..<Value.bitWidth / 8).reversed() {
            value = Value.bitWidth > 8 ? value << 8 : 0
            value |= Value(truncatingIfNeeded: self[offset + index])
        }
        return value
    }
}

extension GuestBuffers {
    /// Copies bytes out, once. What is past the end is left out.
    func copy(_ range: Range<Int>) -> [UInt8] {
        let count = Swift.min(range.upperBound, byteCount) - range.lowerBound
        guard count > 0 else { return [] }
        // Sound: the target has room for `count` bytes, of which as many are there as are said to be.
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { target, initializedCount in
            initializedCount = unsafe read(
                at: range.lowerBound,
                into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(target)[..<count]))
        }
    }
}

extension ErrorNumber {
    static let invalidArgument = ErrorNumber(rawValue: EINVAL)
    static let nameTooLong = ErrorNumber(rawValue: ENAMETOOLONG)
    static let readOnlyFileSystem = ErrorNumber(rawValue: EROFS)
    static let stale = ErrorNumber(rawValue: ESTALE)
    static let badDescriptor = ErrorNumber(rawValue: EBADF)
    static let inputOutput = ErrorNumber(rawValue: EIO)
    static let isFolder = ErrorNumber(rawValue: EISDIR)
    static let notAFolder = ErrorNumber(rawValue: ENOTDIR)
    static let isLink = ErrorNumber(rawValue: ELOOP)
    static let exists = ErrorNumber(rawValue: EEXIST)
    static let notSupported = ErrorNumber(rawValue: EOPNOTSUPP)
    static let wrongProtocol = ErrorNumber(rawValue: EPROTO)
}
