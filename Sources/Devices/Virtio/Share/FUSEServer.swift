import CKVM
import Host

/// A file system for a guest's kernel by the FUSE protocol: the files of a shared folder.
///
/// It is used on one thread. Requests are answered in the order in which they come; none leaves anything open that its
/// answer does not tell of. What a request says is checked before anything is done: numbers of files and of open files
/// against the tables, names against leading elsewhere, lengths against the buffers, and the room for the answer.
///
/// Source: Linux, include/uapi/linux/fuse.h, and for the order of things fs/fuse.
struct FUSEServer {
    /// The most files that a guest can know at once.
    private static let mostNodes = 1 << 20

    let folder: SharedFolder
    private let mostNodes: Int
    var nodes: FUSENodes
    private var handles: [UInt64: FUSEHandle] = [:]
    private var nextHandle: UInt64 = 1
    /// The version that was agreed upon; nil before it was.
    private(set) var minor: UInt32?

    /// A file system of a folder.
    init(_ folder: SharedFolder, mostNodes: Int = Self.mostNodes) {
        self.folder = folder
        self.mostNodes = mostNodes
        nodes = FUSENodes(root: folder.identity, limit: mostNodes)
    }

    /// How many files the guest has open.
    var handleCount: Int { handles.count }

    /// What a request comes to.
    private enum Answer {
        /// What stands behind the header of the answer.
        case bytes([UInt8])
        /// Bytes that were put there already.
        case data(Int)

        static let done = Self.bytes([])
    }

    /// Answers a request.
    ///
    /// - Returns: How many bytes were written.
    /// - Throws: ``VirtqueueFault/request`` when there is no room for the header of a request, or of an answer.
    mutating func serve(_ readable: GuestBuffers, _ writable: GuestBuffers) throws(VirtqueueFault) -> Int {
        guard let request = FUSERequest(readable) else { throw .request }
        if let operation = request.operation, !operation.hasReply {
            // What is wrong with it, nobody can be told.
            if request.isWhole { try? forget(request, operation) }
            return 0
        }
        guard writable.byteCount >= FUSEReply.headerSize else { throw .request }
        do throws(ErrorNumber) {
            switch try answer(request, readable, writable) {
            case .bytes(let bytes):
                let header = FUSEReply.header(of: request.unique, size: bytes.count)
                return writable.write((header + bytes)[...])
            case .data(let count):
                writable.write(FUSEReply.header(of: request.unique, size: count)[...])
                return FUSEReply.headerSize + count
            }
        } catch {
            return writable.write(FUSEReply.header(of: request.unique, size: 0, error: error)[...])
        }
    }

    private mutating func answer(
        _ request: FUSERequest, _ readable: GuestBuffers, _ writable: GuestBuffers
    ) throws(ErrorNumber) -> Answer {
        guard let operation = request.operation else { throw .notImplemented }
        guard request.isWhole else { throw .inputOutput }
        guard minor != nil || operation == .initialize || operation == .destroy else { throw .inputOutput }
        guard !operation.isChange || !folder.isReadOnly else { throw .readOnlyFileSystem }
        let room = writable.byteCount - FUSEReply.headerSize
        guard room >= Self.leastRoom(operation) else { throw .invalidArgument }
        var request = request
        switch operation {
        case .read:
            let count = try read(&request, room)
            return .data(
                try folder.move(
                    FUSEReply.headerSize..<FUSEReply.headerSize + count.size, of: writable, count.file,
                    at: count.offset, isWrite: false))
        case .write: return .bytes(try write(&request, readable))
        default: return .bytes(try answer(&request, operation, room))
        }
    }

    /// The bytes of an answer behind its header, for those that always have as many.
    private static func leastRoom(_ operation: FUSEOperation) -> Int {
        switch operation {
        case .lookup, .makeLink, .makeNode, .makeFolder, .addName: FUSEReply.entrySize
        case .create: FUSEReply.entrySize + FUSEReply.openSize
        case .getAttributes, .setAttributes: FUSEReply.attributeReplySize
        case .open, .openFolder: FUSEReply.openSize
        case .statistics: FUSEReply.statisticsSize
        case .initialize: FUSEReply.initializeSize
        case .write, .seek: 8
        case .forget, .readLink, .removeFile, .removeFolder, .rename, .read, .release, .synchronize, .flush,
            .readFolder, .releaseFolder, .synchronizeFolder, .destroy, .forgetSeveral, .allocate, .readFolderPlus,
            .renameWithFlags, .synchronizeAll:
            0
        }
    }

    private mutating func answer(
        _ request: inout FUSERequest, _ operation: FUSEOperation, _ room: Int
    ) throws(ErrorNumber) -> [UInt8] {
        switch operation {
        case .lookup: return try lookUp(&request)
        case .getAttributes: return try attributes(&request)
        case .setAttributes: return try setAttributes(&request)
        case .readLink: return try readLink(request, room)
        case .makeLink: return try makeLink(&request)
        case .makeNode: return try makeNode(&request)
        case .makeFolder: return try makeFolder(&request)
        case .removeFile, .removeFolder: return try remove(&request, isFolder: operation == .removeFolder)
        case .rename, .renameWithFlags: return try rename(&request, hasFlags: operation == .renameWithFlags)
        case .addName: return try addName(&request)
        case .open: return try open(&request)
        case .create: return try create(&request)
        case .release, .releaseFolder: return try release(&request)
        case .flush: return try flush(&request)
        case .synchronize, .synchronizeFolder: return try synchronize(&request)
        case .synchronizeAll: return try synchronizeAll()
        case .allocate: return try allocate(&request)
        case .seek: return try seek(&request)
        case .openFolder: return try openFolder(&request)
        case .readFolder, .readFolderPlus: return try readFolder(&request, room, isPlus: operation == .readFolderPlus)
        case .statistics: return FUSEReply.statistics(try folder.statistics())
        case .initialize: return try initialize(&request)
        case .destroy:
            forgetEverything()
            return []
        case .read, .write, .forget, .forgetSeveral: throw .notImplemented
        }
    }
}

// MARK: The session

extension FUSEServer {
    /// Agrees upon a version and features. What the guest knew before, it knows no more.
    private mutating func initialize(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let (major, minor) = (try request.number(UInt32.self), try request.number(UInt32.self))
        let readAhead: UInt32 = try request.number()
        let features: UInt32 = try request.number()
        // A newer major version would have to ask anew, with ours; there is none.
        guard major == FUSEProtocol.major, minor >= FUSEProtocol.oldestMinor else { throw .wrongProtocol }
        forgetEverything()
        let agreed = min(minor, FUSEProtocol.newestMinor)
        self.minor = agreed
        return FUSEReply.initialize(
            minor: agreed, readAhead: readAhead, features: features & FUSEProtocol.Feature.all)
    }

    /// Closes all files, and waits for a new start.
    private mutating func forgetEverything() {
        minor = nil
        handles = [:]
        nodes = FUSENodes(root: folder.identity, limit: mostNodes)
    }

    private mutating func forget(_ request: FUSERequest, _ operation: FUSEOperation) throws(ErrorNumber) {
        var request = request
        guard operation == .forgetSeveral else { return nodes.forget(request.node, try request.number()) }
        let count: UInt32 = try request.number()
        try request.skip(4)
        for _ in 0..<count {
            let node: UInt64 = try request.number()
            nodes.forget(node, try request.number())
        }
    }
}

// MARK: What is open

/// A file or folder that the guest has open.
struct FUSEHandle {
    let file: OpenedFile
    let node: FUSENode
    let isFolder: Bool
    let isWritable: Bool
    /// Of a folder: where its next entry is, as the file system counts.
    var position: Int64 = 0
}

extension FUSEServer {
    /// Keeps what was opened for the guest.
    ///
    /// - Returns: The number by which the guest knows it.
    mutating func keep(_ handle: FUSEHandle) -> UInt64 {
        let number = nextHandle
        nextHandle += 1
        handles[number] = handle
        handle.node.handles.insert(number)
        return number
    }

    /// What the guest has open by a number.
    func handle(_ number: UInt64, of node: UInt64, isFolder: Bool = false) throws(ErrorNumber) -> FUSEHandle {
        guard let handle = handles[number], handle.node.number == node, handle.isFolder == isFolder
        else { throw .badDescriptor }
        return handle
    }

    /// Notes where the next entry of a folder is.
    mutating func setPosition(_ position: Int64, of number: UInt64) {
        handles[number]?.position = position
    }

    mutating func release(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let number: UInt64 = try request.number()
        guard let handle = handles[number], handle.node.number == request.node else { throw .badDescriptor }
        handles[number] = nil
        handle.node.handles.remove(number)
        nodes.drop(handle.node)
        return []
    }

    /// Something that the guest has open of a file, if there is anything: by it also a file is reached that has no name.
    func anyDescriptor(of node: FUSENode) -> Int32? {
        node.handles.first.flatMap { handles[$0]?.file.descriptor }
    }
}

// MARK: Places

extension FUSEServer {
    /// Lends the place of a file that the guest knows. It is the same file still.
    func withPlace<Result>(
        of node: FUSENode, _ body: (Int32) throws(ErrorNumber) -> Result
    ) throws(ErrorNumber) -> Result {
        try folder.withPlace(nodes.path(of: node), of: node.identity, body)
    }

    /// Lends a descriptor of a file that the guest knows: of what it has open, else its place.
    func withAny<Result>(
        of node: FUSENode, _ body: (Int32) throws(ErrorNumber) -> Result
    ) throws(ErrorNumber) -> Result {
        if let descriptor = anyDescriptor(of: node) { return try body(descriptor) }
        return try withPlace(of: node, body)
    }

    /// Lends the place of a folder that the guest knows.
    func withFolder<Result>(
        _ number: UInt64, _ body: (Int32) throws(ErrorNumber) -> Result
    ) throws(ErrorNumber) -> Result {
        let node = try nodes.node(number)
        guard node.identity.kind == FileStatus.Kind.folder.rawValue else { throw .notAFolder }
        return try withPlace(of: node, body)
    }

    /// Gives the guest what stands at a name.
    mutating func give(_ status: FileStatus, parent: UInt64, name: [UInt8]) -> [UInt8] {
        let node = nodes.give(status.identity, parent: parent, name: name)
        return FUSEReply.entry(node.number, status, folder.owners)
    }
}
