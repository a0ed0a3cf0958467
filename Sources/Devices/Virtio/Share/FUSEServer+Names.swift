import CKVM
import Host

// What is asked of folders and the names in them, and of the attributes of files.
extension FUSEServer {
    /// What stands at a name of a folder that is open or a place.
    private func status(of name: [UInt8], in place: Int32) throws(ErrorNumber) -> FileStatus {
        let folder = folder
        return try folder.withPlace(name.terminated, in: place) { found throws(ErrorNumber) in
            try folder.status(found)
        }
    }

    mutating func lookUp(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let name = try request.name()
        try request.end()
        try nodes.checkRoom()
        do throws(ErrorNumber) {
            let status = try withFolder(request.node) { place throws(ErrorNumber) -> FileStatus in
                try self.status(of: name, in: place)
            }
            return give(status, parent: request.node, name: name)
        } catch .noSuchFile {
            // The folder itself is there. The guest may believe for a while that it has no such name.
            return FUSEReply.noEntry
        }
    }

    /// Makes something at a name that the request ends with, and gives it to the guest.
    private mutating func make(
        _ request: inout FUSERequest, _ body: (Int32, [CChar]) throws(ErrorNumber) -> Void
    ) throws(ErrorNumber) -> [UInt8] {
        let name = try request.name()
        try request.end()
        return try make(name, in: request.node, body)
    }

    private mutating func make(
        _ name: [UInt8], in parent: UInt64, _ body: (Int32, [CChar]) throws(ErrorNumber) -> Void
    ) throws(ErrorNumber) -> [UInt8] {
        try nodes.checkRoom()
        let status = try withFolder(parent) { place throws(ErrorNumber) -> FileStatus in
            try body(place, name.terminated)
            return try self.status(of: name, in: place)
        }
        return give(status, parent: parent, name: name)
    }

    mutating func makeFolder(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let mode: UInt32 = try request.number()
        try request.skip(4)
        let folder = folder
        return try make(&request) { place, name throws(ErrorNumber) in
            try folder.makeFolder(name, in: place, mode: mode)
        }
    }

    mutating func makeNode(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let mode: UInt32 = try request.number()
        try request.skip(12)
        let folder = folder
        return try make(&request) { place, name throws(ErrorNumber) in
            try folder.makeNode(name, in: place, mode: mode)
        }
    }

    mutating func makeLink(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let name = try request.name()
        let target = try request.text()
        try request.end()
        guard !target.isEmpty else { throw .noSuchFile }
        guard target.count <= SharedFolder.longestPath else { throw .nameTooLong }
        let folder = folder
        return try make(name, in: request.node) { place, name throws(ErrorNumber) in
            try folder.makeLink(name, in: place, target: target.terminated)
        }
    }

    mutating func addName(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let node = try nodes.node(try request.number())
        guard node.identity.kind != FileStatus.Kind.folder.rawValue else { throw .notPermitted }
        let (folder, path) = (folder, try nodes.path(of: node))
        return try make(&request) { place, name throws(ErrorNumber) in
            try folder.withPlace(path, of: node.identity) { old throws(ErrorNumber) in
                try folder.addName(name, in: place, to: old)
            }
        }
    }

    mutating func remove(_ request: inout FUSERequest, isFolder: Bool) throws(ErrorNumber) -> [UInt8] {
        let name = try request.name()
        try request.end()
        let folder = folder
        try withFolder(request.node) { place throws(ErrorNumber) in
            try folder.remove(name.terminated, in: place, isFolder: isFolder)
        }
        return []
    }

    /// RENAME_NOREPLACE and RENAME_EXCHANGE. Source: renameat2(2).
    private static let renameExchange: UInt32 = 2
    private static let renameFlags: UInt32 = 1 | renameExchange

    mutating func rename(_ request: inout FUSERequest, hasFlags: Bool) throws(ErrorNumber) -> [UInt8] {
        let parent: UInt64 = try request.number()
        let flags: UInt32 = hasFlags ? try request.number() : 0
        if hasFlags { try request.skip(4) }
        let (name, newName) = (try request.name(), try request.name())
        try request.end()
        guard flags & ~Self.renameFlags == 0 else { throw .invalidArgument }
        let folder = folder
        var moved: [FileIdentity] = []
        try withFolder(request.node) { from throws(ErrorNumber) in
            try withFolder(parent) { to throws(ErrorNumber) in
                // Which files have other names then. If somebody is faster, the guest finds out when it looks.
                moved = [try status(of: name, in: from).identity]
                if flags & Self.renameExchange != 0 { moved.append(try status(of: newName, in: to).identity) }
                try folder.rename(name.terminated, in: from, to: newName.terminated, in: to, flags: flags)
            }
        }
        nodes.move(moved[0], to: parent, newName)
        if moved.count > 1 { nodes.move(moved[1], to: request.node, name) }
        return []
    }

    func readLink(_ request: FUSERequest, _ room: Int) throws(ErrorNumber) -> [UInt8] {
        let node = try nodes.node(request.node)
        guard node.identity.kind == FileStatus.Kind.link.rawValue else { throw .invalidArgument }
        let folder = folder
        let target = try withPlace(of: node) { place throws(ErrorNumber) in try folder.target(of: place) }
        guard target.count <= room else { throw .invalidArgument }
        return target
    }
}

// MARK: Attributes

extension FUSEServer {
    func attributes(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let flags: UInt32 = try request.number()
        try request.skip(4)
        let number: UInt64 = try request.number()
        // FUSE_GETATTR_FH: by what is open.
        let open = flags & 1 != 0 ? try handle(number, of: request.node).file.descriptor : nil
        return try attributes(of: try nodes.node(request.node), open)
    }

    private func attributes(of node: FUSENode, _ open: Int32?) throws(ErrorNumber) -> [UInt8] {
        let folder = folder
        let status: FileStatus
        if let open {
            status = try folder.status(open)
        } else {
            status = try withAny(of: node) { file throws(ErrorNumber) in try folder.status(file) }
        }
        return FUSEReply.attributes(status, folder.owners)
    }

    /// What a request says of each attribute. Source: Linux, struct fuse_setattr_in.
    private struct Wish {
        let valid: FUSEAttributes
        let handle: UInt64
        let size: UInt64
        let accessTime: Int64
        let changeTime: Int64
        let accessPart: UInt32
        let changePart: UInt32
        let mode: UInt32
        let user: UInt32
        let group: UInt32

        init(_ request: inout FUSERequest) throws(ErrorNumber) {
            valid = FUSEAttributes(rawValue: try request.number())
            try request.skip(4)
            handle = try request.number()
            size = try request.number()
            try request.skip(8)
            accessTime = try request.number()
            changeTime = try request.number()
            try request.skip(8)
            accessPart = try request.number()
            changePart = try request.number()
            try request.skip(4)
            mode = try request.number()
            try request.skip(4)
            user = try request.number()
            group = try request.number()
            try request.skip(4)
            try request.end()
        }

        /// A time to be set, as utimensat(2) takes it.
        func time(_ attribute: FUSEAttributes, now: FUSEAttributes, _ seconds: Int64, _ part: UInt32) -> (Int64, Int64)
        {
            guard valid.contains(attribute) else { return (0, Int64(CKVM_TIME_KEPT)) }
            return valid.contains(now) ? (0, Int64(CKVM_TIME_NOW)) : (seconds, Int64(part))
        }
    }

    func setAttributes(_ request: inout FUSERequest) throws(ErrorNumber) -> [UInt8] {
        let wish = try Wish(&request)
        let node = try nodes.node(request.node)
        let open = wish.valid.contains(.handle) ? try handle(wish.handle, of: request.node) : nil
        if let open {
            try set(wish, of: node, open.file.descriptor)
        } else {
            try withAny(of: node) { file throws(ErrorNumber) in try set(wish, of: node, file) }
        }
        if wish.valid.contains(.size) { try setSize(wish.size, of: node, open) }
        // What a new size does to the times, the times that are asked for come after.
        if !wish.valid.isDisjoint(with: [.accessTime, .changeTime]) {
            let folder = folder
            try withAny(of: node) { file throws(ErrorNumber) in
                try folder.setTimes(
                    wish.time(.accessTime, now: .accessTimeNow, wish.accessTime, wish.accessPart),
                    wish.time(.changeTime, now: .changeTimeNow, wish.changeTime, wish.changePart), of: file)
            }
        }
        return try attributes(of: node, open?.file.descriptor)
    }

    /// Sets the mode and the owners.
    private func set(_ wish: Wish, of node: FUSENode, _ file: Int32) throws(ErrorNumber) {
        if wish.valid.contains(.mode) {
            guard node.identity.kind != FileStatus.Kind.link.rawValue else { throw .notSupported }
            try folder.setMode(wish.mode, of: file)
        }
        if !wish.valid.isDisjoint(with: [.user, .group]) {
            try folder.setOwners(
                user: wish.valid.contains(.user) ? wish.user : nil,
                group: wish.valid.contains(.group) ? wish.group : nil, of: file)
        }
    }

    private func setSize(_ size: UInt64, of node: FUSENode, _ open: FUSEHandle?) throws(ErrorNumber) {
        guard node.identity.kind == FileStatus.Kind.regular.rawValue else { throw .invalidArgument }
        if let open { return try folder.setSize(size, of: open.file.descriptor) }
        let folder = folder
        try withPlace(of: node) { place throws(ErrorNumber) in
            let file = try folder.open(place, flags: O_WRONLY)
            try folder.setSize(size, of: file.descriptor)
        }
    }
}
