package import CKVM
public import Host

/// A folder of the host that is shared with a guest, open.
///
/// Everything in it is named by a path from the folder on, which the system follows without crossing a link, the folder's
/// own boundary or that of its file system (openat2(2)). What was found so is a place: a descriptor by which nothing can
/// be read or written. It is looked at, and then opened or changed by its number in /proc/self/fd, so that nobody can put
/// another file in its stead meanwhile. No path of the host is used after the start.
public final class SharedFolder: Sendable {
    /// The most bytes of a name. Source: Linux, include/uapi/linux/limits.h, NAME_MAX.
    static let longestName = 255
    /// The most bytes of a path, without its zero. Source: the same, PATH_MAX.
    static let longestPath = 4095
    /// Descriptors that are left to the rest of the process.
    private static let reservedDescriptors = 32
    /// The most descriptors that the process asks for.
    private static let wantedDescriptors: Int32 = 1 << 16

    /// The path, for people.
    public let path: String
    /// Whether the guest can change nothing.
    public let isReadOnly: Bool
    /// Whom files belong to.
    let owners = FileOwners()
    /// What tells the folder itself from all other files.
    let identity: FileIdentity
    private let root: OwnedDescriptor
    private let descriptors: OwnedDescriptor
    private let calls: ShareCalls
    private let descriptorLimit: Int32

    /// Opens a folder.
    ///
    /// - Parameters:
    ///   - path: The folder, or a link to it.
    ///   - isReadOnly: Whether the guest can change nothing.
    /// - Throws: ``ShareError``.
    public convenience init(path: String, isReadOnly: Bool = false) throws(ShareError) {
        try self.init(path: path, isReadOnly: isReadOnly, calls: .live)
    }

    package init(path: String, isReadOnly: Bool, calls: ShareCalls) throws(ShareError) {
        let result = unsafe ckvm_share_folder(ForeignText.cString(path))
        guard result >= 0 else {
            if result == -ENOTDIR { throw .notAFolder(path: path) }
            throw .notUsable(path: path, ErrorNumber(rawValue: 0 &- result))
        }
        root = OwnedDescriptor(takingOver: result)
        let numbers = ckvm_share_descriptors()
        guard numbers >= 0 else { throw .noDescriptors(ErrorNumber(rawValue: 0 &- numbers)) }
        descriptors = OwnedDescriptor(takingOver: numbers)
        self.path = path
        self.isReadOnly = isReadOnly
        self.calls = calls
        descriptorLimit = ckvm_share_raise_limit(Self.wantedDescriptors) - Int32(Self.reservedDescriptors)
        // Linux before 5.6 has no openat2(2).
        let place = unsafe ckvm_share_place(root.number, ".")
        guard place >= 0 else { throw .notUsable(path: path, ErrorNumber(rawValue: 0 &- place)) }
        defer { _ = ckvm_close(place) }
        do {
            identity = try Self.status(place).identity
        } catch {
            throw .notUsable(path: path, error)
        }
    }

    /// The folder as a place, for what says which files this process may use.
    package var descriptor: Int32 { root.number }
}

// MARK: Places

extension SharedFolder {
    /// Lends a place for the time of a call.
    ///
    /// - Parameters:
    ///   - path: From the folder on, with a zero at its end.
    ///   - parent: A folder below this one; nil for this one itself.
    func withPlace<Result>(
        _ path: [CChar], in parent: Int32? = nil, _ body: (Int32) throws(ErrorNumber) -> Result
    ) throws(ErrorNumber) -> Result {
        let place = try Self.check(unsafe ckvm_share_place(parent ?? root.number, path))
        defer { _ = ckvm_close(place) }
        return try body(place)
    }

    /// Lends the place of a file that was found before.
    ///
    /// - Throws: `ESTALE` where the path does not lead to it any more.
    func withPlace<Result>(
        _ path: [CChar], of identity: FileIdentity, _ body: (Int32) throws(ErrorNumber) -> Result
    ) throws(ErrorNumber) -> Result {
        let result = unsafe ckvm_share_place(root.number, path)
        if [-ENOENT, -ENOTDIR, -ELOOP].contains(result) { throw .stale }
        let place = try Self.check(result)
        defer { _ = ckvm_close(place) }
        guard try status(place).identity == identity else { throw .stale }
        return try body(place)
    }

    /// What there is at a place, or what is open.
    func status(_ place: Int32) throws(ErrorNumber) -> FileStatus { try Self.status(place) }

    private static func status(_ place: Int32) throws(ErrorNumber) -> FileStatus {
        var found = ckvm_share_status()
        try check(unsafe ckvm_share_stat(place, &found))
        return FileStatus(found: found)
    }

    /// What the file system has.
    func statistics() throws(ErrorNumber) -> ckvm_share_system {
        var system = ckvm_share_system()
        try Self.check(unsafe ckvm_share_statfs(root.number, &system))
        return system
    }

    /// What a link says.
    func target(of place: Int32) throws(ErrorNumber) -> [UInt8] {
        var failure = 0
        let target = unsafe [UInt8](unsafeUninitializedCapacity: Self.longestPath) { bytes, count in
            // Sound: readlinkat(2) writes as many bytes as it returns, and no more than there is room for.
            let result = unsafe ckvm_share_read_link(place, bytes.baseAddress, bytes.count)
            if result < 0 { failure = result }
            count = max(0, result)
        }
        try Self.check(Int32(truncatingIfNeeded: failure))
        return target
    }

    /// Opens what a place stands for: a regular file, or a folder to be read.
    ///
    /// - Throws: `EMFILE` when this process has nearly as many descriptors as it may.
    func open(_ place: Int32, flags: Int32) throws(ErrorNumber) -> OpenedFile {
        let descriptor = try Self.check(
            ckvm_share_open(descriptors.number, place, isReadOnly ? flags & ~O_ACCMODE | O_RDONLY : flags))
        return try keep(descriptor)
    }

    /// Makes a file, and opens it.
    ///
    /// - Parameter folder: The folder that it is made in.
    func create(_ name: [CChar], in folder: Int32, flags: Int32, mode: UInt32) throws(ErrorNumber) -> OpenedFile {
        guard !isReadOnly else { throw .readOnlyFileSystem }
        let flags = flags | O_CREAT | O_EXCL | O_NOCTTY
        return try keep(try Self.check(unsafe ckvm_share_below(folder, name, flags, mode)))
    }

    private func keep(_ descriptor: Int32) throws(ErrorNumber) -> OpenedFile {
        let file = OpenedFile(descriptor)
        guard descriptor < descriptorLimit else { throw .tooManyFiles }
        return file
    }

    /// The number of a call's result, or the error that it stands for.
    @discardableResult
    fileprivate static func check(_ result: Int32) throws(ErrorNumber) -> Int32 {
        guard result >= 0 else { throw ErrorNumber(rawValue: 0 &- result) }
        return result
    }
}

// MARK: Changes

extension SharedFolder {
    /// The permission bits that a guest sets: no file of the host's becomes one that runs as its owner.
    private static let allowedMode: UInt32 = 0o1777

    private func change(_ result: @autoclosure () -> Int32) throws(ErrorNumber) {
        guard !isReadOnly else { throw .readOnlyFileSystem }
        try Self.check(result())
    }

    func makeFolder(_ name: [CChar], in folder: Int32, mode: UInt32) throws(ErrorNumber) {
        try change(unsafe ckvm_share_make_folder(folder, name, mode & Self.allowedMode))
    }

    /// Makes a regular file or a pipe; nothing else.
    func makeNode(_ name: [CChar], in folder: Int32, mode: UInt32) throws(ErrorNumber) {
        try change(
            unsafe ckvm_share_make_node(folder, name, mode & (FileStatus.kindMask | Self.allowedMode)))
    }

    func makeLink(_ name: [CChar], in folder: Int32, target: [CChar]) throws(ErrorNumber) {
        try change(unsafe ckvm_share_make_link(folder, name, target))
    }

    func addName(_ name: [CChar], in folder: Int32, to place: Int32) throws(ErrorNumber) {
        try change(unsafe ckvm_share_add_name(descriptors.number, place, folder, name))
    }

    func remove(_ name: [CChar], in folder: Int32, isFolder: Bool) throws(ErrorNumber) {
        try change(unsafe ckvm_share_remove(folder, name, isFolder))
    }

    func rename(
        _ name: [CChar], in folder: Int32, to newName: [CChar], in newFolder: Int32, flags: UInt32
    ) throws(ErrorNumber) {
        try change(unsafe ckvm_share_rename(folder, name, newFolder, newName, flags))
    }

    /// Sets the permission bits of what a descriptor stands for, which is no link.
    func setMode(_ mode: UInt32, of file: Int32) throws(ErrorNumber) {
        try change(ckvm_share_set_mode(descriptors.number, file, mode & Self.allowedMode))
    }

    /// Sets the owners, as the guest names them; nil leaves one as it is.
    func setOwners(user: UInt32?, group: UInt32?, of file: Int32) throws(ErrorNumber) {
        try change(
            ckvm_share_set_owner(
                descriptors.number, file, user.map { owners.onHost(user: $0) } ?? .max,
                group.map { owners.onHost(group: $0) } ?? .max))
    }

    /// Sets the times: seconds and nanoseconds, which may be CKVM_TIME_NOW or CKVM_TIME_KEPT.
    func setTimes(_ access: (Int64, Int64), _ modification: (Int64, Int64), of file: Int32) throws(ErrorNumber) {
        try change(
            ckvm_share_set_times(
                descriptors.number, file, access.0, access.1, modification.0, modification.1))
    }

    func setSize(_ size: UInt64, of file: Int32) throws(ErrorNumber) {
        guard let size = Int64(exactly: size) else { throw .invalidArgument }
        try change(ckvm_share_set_size(file, size))
    }
}

// MARK: What is open

extension SharedFolder {
    /// Moves bytes between the guest's buffers and a file.
    ///
    /// - Parameters:
    ///   - range: Which bytes of the buffers.
    ///   - buffers: The guest's.
    ///   - file: The file, open.
    ///   - offset: Where in the file.
    ///   - isWrite: Whether the file is written to.
    /// - Returns: How many were moved: fewer than the range has at the end of the file, or of the space.
    func move(
        _ range: Range<Int>, of buffers: GuestBuffers, _ file: Int32, at offset: UInt64, isWrite: Bool
    ) throws(ErrorNumber) -> Int {
        guard let start = Int64(exactly: offset), !start.addingReportingOverflow(Int64(range.count)).overflow
        else { throw .invalidArgument }
        let call = unsafe isWrite ? calls.write : calls.read
        var done = 0
        while done < range.count {
            let result = unsafe buffers.withVectors(range.lowerBound + done..<range.upperBound) { parts, count in
                unsafe call(file, parts, count, start + Int64(done))
            }
            if result == -Int(EINTR) { continue }
            if result < 0, done == 0 { throw ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- result)) }
            guard result > 0 else { break }
            done += result
        }
        return done
    }

    /// Has what was written reach the disk.
    func flush(_ file: Int32, dataAlone: Bool) throws(ErrorNumber) { try Self.check(calls.flush(file, dataAlone)) }

    /// Has all of the file system reach its disk.
    func flushSystem(_ file: Int32) throws(ErrorNumber) { try Self.check(ckvm_share_flush_system(file)) }

    /// Asks what there is to say when a file is closed.
    func closeOnce(_ file: Int32) throws(ErrorNumber) { try Self.check(ckvm_share_close_once(file)) }

    func allocate(_ file: Int32, mode: Int32, offset: Int64, size: Int64) throws(ErrorNumber) {
        try change(calls.allocate(file, mode, offset, size))
    }

    func seek(_ file: Int32, _ offset: Int64, _ whence: Int32) throws(ErrorNumber) -> Int64 {
        let result = ckvm_share_seek(file, offset, whence)
        guard result >= 0 else { throw ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- result)) }
        return result
    }

    /// The next entries of a folder that is open.
    func entries(of folder: Int32) throws(ErrorNumber) -> [FolderEntry] {
        var failure = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 14) { buffer, count in
            // Sound: getdents64(2) writes as many bytes as it returns, and no more than there is room for.
            let result = unsafe ckvm_share_entries(folder, buffer.baseAddress, buffer.count)
            if result < 0 { failure = result }
            count = max(0, result)
        }
        try Self.check(Int32(truncatingIfNeeded: failure))
        return FolderEntry.all(in: bytes)
    }
}

/// A file or folder of the host that is open.
final class OpenedFile: Sendable {
    private let owned: OwnedDescriptor

    fileprivate init(_ descriptor: Int32) {
        owned = OwnedDescriptor(takingOver: descriptor)
    }

    var descriptor: Int32 { owned.number }
}

/// What the host says of a file.
struct FileStatus {
    let found: ckvm_share_status

    /// The bits of a mode that say what kind of file it is. Source: inode(7).
    static let kindMask: UInt32 = 0o170_000

    /// What kind of file it is.
    enum Kind: UInt32 {
        case pipe = 0o010_000
        case folder = 0o040_000
        case regular = 0o100_000
        case link = 0o120_000
    }

    /// What kind of file it is; nil for devices and sockets.
    var kind: Kind? { Kind(rawValue: found.mode & Self.kindMask) }

    /// What tells it from all other files that there are.
    var identity: FileIdentity {
        FileIdentity(
            device: UInt64(found.device_major) << 32 | UInt64(found.device_minor), inode: found.inode,
            kind: found.mode & Self.kindMask)
    }

    /// The device that a device's file stands for. Source: Linux, include/linux/kdev_t.h, new_encode_dev.
    var namedDevice: UInt32 {
        found.named_minor & 0xff | found.named_major << 8 | (found.named_minor & ~0xff) << 12
    }
}

/// What tells a file from all others.
struct FileIdentity: Hashable {
    let device: UInt64
    let inode: UInt64
    /// The file system may use the number again, for a file of another kind.
    let kind: UInt32
}

/// Whom files belong to: the guest's root is the user who runs this process, and nobody else is.
struct FileOwners: Sendable {
    /// The user whom a guest takes for nobody. Source: Linux, Documentation/admin-guide/sysctl/fs.rst, overflowuid.
    private static let nobody: UInt32 = 65534

    var user = geteuid()
    var group = getegid()

    func inGuest(user id: UInt32) -> UInt32 { id == user ? 0 : id == 0 ? Self.nobody : id }
    func inGuest(group id: UInt32) -> UInt32 { id == group ? 0 : id == 0 ? Self.nobody : id }
    func onHost(user id: UInt32) -> UInt32 { id == 0 ? user : id }
    func onHost(group id: UInt32) -> UInt32 { id == 0 ? group : id }
}

/// A name in a folder.
struct FolderEntry: Hashable {
    var inode: UInt64
    /// Where the entries behind it start, as the file system counts.
    let next: UInt64
    /// The kind of file, as in bits 12 to 15 of a mode; 0 where the file system does not say.
    let kind: UInt8
    let name: [UInt8]

    private static let headerSize = 19

    /// The entries of a buffer that getdents64(2) has filled.
    static func all(in bytes: [UInt8]) -> [FolderEntry] {
        var entries: [FolderEntry] = []
        var start = 0
        while bytes.count - start > headerSize {
            let size = Int(bytes.littleEndian(at: start + 16, as: UInt16.self))
            guard size > headerSize, size <= bytes.count - start else { break }
            entries.append(
                FolderEntry(
                    inode: bytes.littleEndian(at: start), next: bytes.littleEndian(at: start + 8),
                    kind: bytes[start + 18],
                    name: Array(bytes[start + headerSize..<start + size].prefix { $0 != 0 })))
            start += size
        }
        return entries
    }
}

/// The system calls of a shared folder that tests replace. Each returns a number of bytes, 0, or -errno.
// Safe to use: the closures are given vectors that are lent for the call, with their number.
@safe
package struct ShareCalls: Sendable {
    /// preadv(2) and pwritev(2).
    package typealias Move = @Sendable (Int32, UnsafePointer<iovec>?, Int32, Int64) -> Int

    package var read: Move = { unsafe ckvm_preadv($0, $1, $2, $3) }
    package var write: Move = { unsafe ckvm_pwritev($0, $1, $2, $3) }
    package var flush: @Sendable (Int32, Bool) -> Int32 = { ckvm_share_flush($0, $1) }
    package var allocate: @Sendable (Int32, Int32, Int64, Int64) -> Int32 = { ckvm_share_allocate($0, $1, $2, $3) }

    package init() {}

    /// The system's own.
    package static let live = ShareCalls()
}

/// Why a folder cannot be shared with a guest.
public enum ShareError: Error, Hashable, Sendable {
    /// It cannot be opened.
    case notUsable(path: String, ErrorNumber)
    /// It is no folder.
    case notAFolder(path: String)
    /// What is open cannot be opened anew: there is no /proc.
    case noDescriptors(ErrorNumber)
    /// The tag, by which the guest knows the folder, is empty, or longer than so many bytes.
    case tag(String, limit: Int)
}

extension ShareError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notUsable(let path, .notImplemented):
            "\(path) cannot be shared: this kernel has no openat2(2), which Linux has from 5.6 on."
        case .notUsable(let path, let error):
            "The folder \(path) cannot be shared (\(error.name): \(error.description))."
        case .notAFolder(let path): "\(path) cannot be shared: it is no folder."
        case .noDescriptors(let error):
            "No folder can be shared without /proc/self/fd (\(error.name): \(error.description))."
        case .tag(let tag, let limit): "\"\(tag)\" cannot be the tag of a shared folder: tags have 1 to \(limit) bytes."
        }
    }
}
