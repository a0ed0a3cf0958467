import Host

/// A file of the shared folder that the guest knows: by its number, and this process by the path that led to it last.
///
/// No descriptor is kept, so the guest can know as many files as it likes. Before anything is done with one, its path is
/// followed anew, and has to lead to the same file.
final class FUSENode {
    let number: UInt64
    let identity: FileIdentity
    fileprivate(set) var parent: UInt64
    fileprivate(set) var name: [UInt8]
    /// How many times the guest was given it, and has not forgotten it.
    fileprivate(set) var lookups: UInt64 = 0
    /// By which numbers the guest has it open.
    var handles: Set<UInt64> = []

    fileprivate init(number: UInt64, identity: FileIdentity, parent: UInt64, name: [UInt8]) {
        self.number = number
        self.identity = identity
        self.parent = parent
        self.name = name
    }
}

/// The files that the guest knows.
struct FUSENodes {
    /// The most that it can know at once.
    private let limit: Int
    private var byNumber: [UInt64: FUSENode] = [:]
    private var byIdentity: [FileIdentity: FUSENode] = [:]
    /// A number is never used again.
    private var nextNumber = FUSEProtocol.rootNode

    /// - Parameters:
    ///   - root: The folder that is shared.
    ///   - limit: The most files that the guest can know at once.
    init(root: FileIdentity, limit: Int) {
        self.limit = limit
        let node = FUSENode(number: nextNumber, identity: root, parent: 0, name: [])
        byNumber[nextNumber] = node
        byIdentity[root] = node
        nextNumber += 1
    }

    /// How many files the guest knows, the root among them.
    var count: Int { byNumber.count }

    /// A file that the guest knows.
    func node(_ number: UInt64) throws(ErrorNumber) -> FUSENode {
        guard let node = byNumber[number] else { throw .stale }
        return node
    }

    /// Whether the guest can come to know one more.
    func checkRoom() throws(ErrorNumber) {
        guard byNumber.count < limit else { throw .tooManyFilesInSystem }
    }

    /// Gives the guest a file, once more or for the first time.
    mutating func give(_ identity: FileIdentity, parent: UInt64, name: [UInt8]) -> FUSENode {
        let node: FUSENode
        if let known = byIdentity[identity] {
            node = known
            move(node, to: parent, name)
        } else {
            node = FUSENode(number: nextNumber, identity: identity, parent: parent, name: name)
            byNumber[nextNumber] = node
            byIdentity[identity] = node
            nextNumber += 1
        }
        node.lookups &+= 1
        return node
    }

    /// Notes that a file has got another name.
    mutating func move(_ identity: FileIdentity, to parent: UInt64, _ name: [UInt8]) {
        if let node = byIdentity[identity] { move(node, to: parent, name) }
    }

    private func move(_ node: FUSENode, to parent: UInt64, _ name: [UInt8]) {
        guard node.number != FUSEProtocol.rootNode else { return }
        node.parent = parent
        node.name = name
    }

    /// The guest forgets that it was given a file so many times.
    mutating func forget(_ number: UInt64, _ count: UInt64) {
        guard let node = byNumber[number] else { return }
        node.lookups -= min(count, node.lookups)
        drop(node)
    }

    /// Forgets a file if the guest has, and has closed it.
    mutating func drop(_ node: FUSENode) {
        guard node.lookups == 0, node.handles.isEmpty, node.number != FUSEProtocol.rootNode else { return }
        byNumber[node.number] = nil
        byIdentity[node.identity] = nil
    }

    /// The path of a file from the folder on, with a zero at its end.
    ///
    /// - Throws: `ESTALE` where the guest has forgotten a folder on the way; `ENAMETOOLONG` for more than the system takes.
    func path(of node: FUSENode) throws(ErrorNumber) -> [CChar] {
        var names: [[UInt8]] = []
        var length = 0
        var next = node
        while next.number != FUSEProtocol.rootNode {
            length += next.name.count + 1
            // Also where the guest and others have moved folders so that what is known of them goes in a circle.
            guard length <= SharedFolder.longestPath else { throw .nameTooLong }
            names.append(next.name)
            next = try self.node(next.parent)
        }
        guard !names.isEmpty else { return [UInt8(ascii: "."), 0].map(CChar.init(bitPattern:)) }
        var path: [CChar] = []
        path.reserveCapacity(length + 1)
        for name in names.reversed() {
            if !path.isEmpty { path.append(CChar(bitPattern: UInt8(ascii: "/"))) }
            path += name.map(CChar.init(bitPattern:))
        }
        return path + [0]
    }
}
