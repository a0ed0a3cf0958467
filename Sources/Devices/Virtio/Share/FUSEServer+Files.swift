import CKVM
import Host

// What is asked of files and folders that are open.
extension FUSEServer {
    /// The flags of open(2) that a guest may give: how it reads and writes, O_APPEND, O_TRUNC, O_SYNC and O_DSYNC.
    private static let openFlags = O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC

    /// The flags with which a file is opened for the guest.
    private func checked(_ flags: UInt32) throws(ErrorNumber) -> Int32 {
        let flags = Int32(bitPattern: flags) & Self.openFlags
        guard flags & O_ACCMODE != O_ACCMODE else { throw .invalidArgument }
        let changes = flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0
        guard !changes || !folder.isReadOnly else { throw .readOnlyFileSystem }
        return flags
    }

    private mutating func keep(_ file: OpenedFile, _ node: FUSENode, _ flags: Int32) -> [UInt8] {
        let isWritable = flags & O_ACCMODE != O_RDONLY
        let number = keep(FUSEHandle(file: file, node: node, isFolder: false, isWritable: isWritable))
        let knowsFlag = minor.map { $0 >= FUSEProtocol.noFlushMinor } ?? false
        return FUSEReply.open(number, flags: !isWritable && knowsFlag ? FUSEProtocol.opensWithoutFlush : 0)
    }

    mutating func open(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let flags = try checked(try request.number())
        let node = try nodes.node(request.node)
        let folder = folder
        // Nothing else is opened: to open a pipe or a device does something.
        guard let kind = FileStatus.Kind(rawValue: node.identity.kind) else { throw .accessDenied }
        switch kind {
        case .regular: break
        case .folder: throw .isFolder
        case .link: throw .isLink
        case .pipe: throw .accessDenied
        }
        let file: OpenedFile
        do throws(ErrorNumber) {
            file = try withPlace(of: node) { place throws(ErrorNumber) in try folder.open(place, flags: flags) }
        } catch .stale {
            // What has no name any more can be opened again by what is open of it.
            guard let open = anyDescriptor(of: node) else { throw .stale }
            file = try folder.open(open, flags: flags)
        }
        return keep(file, node, flags)
    }

    mutating func create(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let wanted: UInt32 = try request.number()
        let mode: UInt32 = try request.number()
        try request.skip(8)
        let name = try request.name()
        try request.end()
        let flags = try checked(wanted)
        try nodes.checkRoom()
        let (folder, parent) = (folder, request.node)
        let isExclusive = Int32(bitPattern: wanted) & O_EXCL != 0
        let (file, status) = try withFolder(parent) { place throws(ErrorNumber) in
            do throws(ErrorNumber) {
                let made = try folder.create(name.terminated, in: place, flags: flags, mode: mode & 0o1777)
                return (made, try folder.status(made.descriptor))
            } catch .exists {
                // Somebody else was faster.
                guard !isExclusive else { throw .exists }
                return try folder.withPlace(name.terminated, in: place) { found throws(ErrorNumber) in
                    let status = try folder.status(found)
                    guard status.kind == .regular else { throw .accessDenied }
                    return (try folder.open(found, flags: flags), status)
                }
            }
        }
        let node = nodes.give(status.identity, parent: parent, name: name)
        return FUSEReply.entry(node.number, status, folder.owners) + keep(file, node, flags)
    }

    /// What is to be read, checked.
    func read(
        _ request: inout FUSERequest, _ room: Int
    ) throws(ErrorNumber) -> (file: Int32, size: Int, offset: UInt64) {
        let file = try handle(try request.number(), of: request.node).file.descriptor
        let offset: UInt64 = try request.number()
        let size: UInt32 = try request.number()
        // A driver that resets the device waits for no more.
        return (file, min(Int(size), room, Int(FUSEProtocol.largestWrite)), offset)
    }

    func write(_ request: inout FUSERequest, _ readable: GuestBuffers) throws(ErrorNumber) -> [UInt8] {
        let handle = try handle(try request.number(), of: request.node)
        let offset: UInt64 = try request.number()
        let size: UInt32 = try request.number()
        try request.skip(20)
        let start = FUSERequest.writeDataOffset
        guard readable.byteCount - start == Int(size), size <= FUSEProtocol.largestWrite
        else { throw .invalidArgument }
        guard handle.isWritable else { throw .badDescriptor }
        let written = try folder.move(
            start..<start + Int(size), of: readable, handle.file.descriptor, at: offset, isWrite: true)
        var reply = ByteBuilder()
        reply.add(UInt32(written))
        reply.add(UInt32(0))
        return reply.bytes
    }

    func flush(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let handle = try handle(try request.number(), of: request.node)
        if handle.isWritable { try folder.closeOnce(handle.file.descriptor) }
        return []
    }

    func synchronize(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let number: UInt64 = try request.number()
        let flags: UInt32 = try request.number()
        let isFolder = request.operation == .synchronizeFolder
        let file = try handle(number, of: request.node, isFolder: isFolder).file.descriptor
        // FUSE_FSYNC_FDATASYNC
        try folder.flush(file, dataAlone: flags & 1 != 0)
        return []
    }

    func synchronizeAll() throws(ErrorNumber) -> [UInt8] {
        // What can only be read, has nothing to write.
        guard !folder.isReadOnly else { return [] }
        let folder = folder
        try withFolder(FUSEProtocol.rootNode) { place throws(ErrorNumber) in
            let root = try folder.open(place, flags: O_RDONLY | O_DIRECTORY)
            try folder.flushSystem(root.descriptor)
        }
        return []
    }

    /// FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE and FALLOC_FL_ZERO_RANGE. Source: fallocate(2).
    private static let allocationModes: UInt32 = 1 | 2 | 0x10

    func allocate(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let handle = try handle(try request.number(), of: request.node)
        let (offset, size): (UInt64, UInt64) = (try request.number(), try request.number())
        let mode: UInt32 = try request.number()
        guard handle.isWritable else { throw .badDescriptor }
        guard mode & ~Self.allocationModes == 0 else { throw .notSupported }
        guard let offset = Int64(exactly: offset), let size = Int64(exactly: size) else { throw .invalidArgument }
        try folder.allocate(handle.file.descriptor, mode: Int32(mode), offset: offset, size: size)
        return []
    }

    func seek(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let file = try handle(try request.number(), of: request.node).file.descriptor
        let offset: UInt64 = try request.number()
        let whence: UInt32 = try request.number()
        // SEEK_DATA and SEEK_HOLE; all else the guest does by itself. Source: lseek(2).
        guard whence == 3 || whence == 4, let offset = Int64(exactly: offset) else { throw .invalidArgument }
        var reply = ByteBuilder()
        reply.add(try folder.seek(file, offset, Int32(whence)))
        return reply.bytes
    }
}

// MARK: Folders

extension FUSEServer {
    /// SEEK_SET. Source: lseek(2).
    private static let fromStart: Int32 = 0
    /// The most bytes of names that one answer has.
    private static let mostNames = 1 << 17

    mutating func openFolder(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let (folder, number) = (folder, request.node)
        let file = try withFolder(number) { place throws(ErrorNumber) in
            try folder.open(place, flags: O_RDONLY | O_DIRECTORY)
        }
        let node = try nodes.node(number)
        return FUSEReply.open(keep(FUSEHandle(file: file, node: node, isFolder: true, isWritable: false)), flags: 0)
    }

    /// The names of a folder from a position on, as many as there is room for; with what stands there for `isPlus`.
    mutating func readFolder(
        _ request: inout FUSERequest, _ room: Int, isPlus: Bool
    ) throws(ErrorNumber) -> [UInt8] {
        let number: UInt64 = try request.number()
        let handle = try handle(number, of: request.node, isFolder: true)
        let position = Int64(bitPattern: try request.number(UInt64.self))
        let size: UInt32 = try request.number()
        let limit = min(Int(size), room, Self.mostNames)
        let file = handle.file.descriptor
        if position != handle.position { _ = try folder.seek(file, position, Self.fromStart) }
        var reply: [UInt8] = []
        var next = position
        // Until it is known where the next entry is, nothing is.
        setPosition(-1, of: number)
        reading: while true {
            let entries = try folder.entries(of: file)
            if entries.isEmpty { break }
            for entry in entries {
                let needed = FUSEReply.nameSize(entry) + (isPlus ? FUSEReply.entrySize : 0)
                guard reply.count + needed <= limit else {
                    // An answer without a name would be the folder's end.
                    guard !reply.isEmpty else { throw .invalidArgument }
                    _ = try folder.seek(file, next, Self.fromStart)
                    break reading
                }
                reply += bytes(of: entry, in: handle, isPlus: isPlus)
                next = Int64(bitPattern: entry.next)
            }
        }
        setPosition(next, of: number)
        return reply
    }

    private mutating func bytes(of entry: FolderEntry, in handle: FUSEHandle, isPlus: Bool) -> [UInt8] {
        var entry = entry
        // What is above the shared folder is not the guest's.
        let isUp = entry.name == Array("..".utf8)
        if isUp, handle.node.number == FUSEProtocol.rootNode { entry.inode = handle.node.identity.inode }
        guard isPlus else { return FUSEReply.name(entry) }
        // No node: the guest asks by itself, if it wants to know.
        let none = [UInt8](repeating: 0, count: FUSEReply.entrySize)
        guard !isUp, entry.name != Array(".".utf8), (try? nodes.checkRoom()) != nil else {
            return none + FUSEReply.name(entry)
        }
        let folder = folder
        let status = try? folder.withPlace(entry.name.terminated, in: handle.file.descriptor) {
            place throws(ErrorNumber) in try folder.status(place)
        }
        let found = status.map { give($0, parent: handle.node.number, name: entry.name) } ?? none
        return found + FUSEReply.name(entry)
    }
}
