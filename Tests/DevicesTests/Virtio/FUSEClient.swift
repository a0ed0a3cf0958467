import CKVM
@testable import Devices
@testable import Host
@testable import Memory
import XCTest

/// A guest's kernel that uses a shared folder, without a guest: it makes requests as Linux does, or any others.
final class FUSEClient {
    /// What a request was answered with.
    struct Answer {
        /// An error number, or 0.
        let error: Int32
        let bytes: [UInt8]

        func number<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value {
            bytes.littleEndian(at: offset)
        }

        /// What an answer with an entry gives: the node, and of the attributes some.
        var node: UInt64 { number(at: 0) }
        var entry: Attributes { Attributes(bytes, at: 40) }
        /// Of an answer to GETATTR and SETATTR.
        var attributes: Attributes { Attributes(bytes, at: 16) }
        /// The handle, of an answer to OPEN.
        var handle: UInt64 { number(at: 0) }
    }

    struct Attributes: Hashable {
        let inode: UInt64
        let size: UInt64
        let modified: UInt64
        let modifiedPart: UInt32
        let mode: UInt32
        let links: UInt32
        let user: UInt32
        let group: UInt32

        init(_ bytes: [UInt8], at start: Int) {
            inode = bytes.littleEndian(at: start)
            size = bytes.littleEndian(at: start + 8)
            modified = bytes.littleEndian(at: start + 32)
            modifiedPart = bytes.littleEndian(at: start + 52)
            mode = bytes.littleEndian(at: start + 60)
            links = bytes.littleEndian(at: start + 64)
            user = bytes.littleEndian(at: start + 68)
            group = bytes.littleEndian(at: start + 72)
        }
    }

    /// An error that was not expected.
    struct Failure: Error {
        let operation: FUSEOperation?
        let error: Int32
    }

    private static let requestPlace: UInt64 = 0x1000
    private static let answerPlace: UInt64 = 0x20_0000
    private let memory: GuestMemory
    private var unique: UInt64 = 100
    var server: FUSEServer
    /// Into how many buffers requests and answers are split.
    var pieces = 1

    init(_ folder: SharedFolder, mostNodes: Int = 1000, starts: Bool = true) throws {
        memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 4 << 20)])
        server = FUSEServer(folder, mostNodes: mostNodes)
        if starts { _ = try must(.initialize, Self.initialize()) }
    }

    static func initialize(major: UInt32 = 7, minor: UInt32 = 38, features: UInt32 = .max) -> [UInt8] {
        words([major, minor, 0x2_0000, features]) + [UInt8](repeating: 0, count: 48)
    }

    static func words(_ words: [UInt32]) -> [UInt8] { numbers(words) }

    static func numbers<Value: FixedWidthInteger>(_ numbers: [Value]) -> [UInt8] {
        var builder = ByteBuilder()
        for number in numbers { builder.add(number) }
        return builder.bytes
    }

    static func name(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    private func buffers(at place: UInt64, size: Int) throws -> GuestBuffers {
        var buffers = GuestBuffers()
        var done = 0
        for piece in 0..<pieces where size > 0 {
            let end = piece == pieces - 1 ? size : size * (piece + 1) / pieces
            guard end > done else { continue }
            buffers.append(
                try GuestWindow(memory, at: GuestPhysicalAddress(place + UInt64(done)), size: end - done))
            done = end
        }
        return buffers
    }

    /// Makes a request of any bytes.
    ///
    /// - Returns: The answer; nil where there is none.
    func send(_ request: [UInt8], room: Int) throws -> Answer? {
        try memory.write(request, at: GuestPhysicalAddress(Self.requestPlace))
        let written = try server.serve(
            buffers(at: Self.requestPlace, size: request.count), buffers(at: Self.answerPlace, size: room))
        guard written > 0 else { return nil }
        let bytes = try memory.bytes(at: GuestPhysicalAddress(Self.answerPlace), count: written)
        XCTAssertLessThanOrEqual(written, room)
        XCTAssertEqual(bytes.littleEndian(at: 0, as: UInt32.self), UInt32(written), "the length of the answer")
        XCTAssertEqual(bytes.littleEndian(at: 8, as: UInt64.self), unique)
        let error = 0 &- bytes.littleEndian(at: 4, as: Int32.self)
        if error != 0 { XCTAssertEqual(written, 16, "nothing goes with an error") }
        return Answer(error: error, bytes: Array(bytes.dropFirst(16)))
    }

    /// The bytes of a request.
    ///
    /// - Parameter length: What it says its length is; nil for what it is.
    func bytes(_ operation: UInt32, node: UInt64, _ arguments: [UInt8], length: UInt32? = nil) -> [UInt8] {
        unique += 1
        var builder = ByteBuilder()
        builder.add(length ?? UInt32(40 + arguments.count))
        builder.add(operation)
        builder.add(unique)
        builder.add(node)
        for word: UInt32 in [1000, 1000, 42, 0] { builder.add(word) }
        return builder.bytes + arguments
    }

    func call(
        _ operation: FUSEOperation, node: UInt64 = 1, _ arguments: [UInt8] = [], room: Int = 4096
    ) throws -> Answer {
        try XCTUnwrap(send(bytes(operation.rawValue, node: node, arguments), room: room))
    }

    /// A request that is answered without an error.
    func must(
        _ operation: FUSEOperation, node: UInt64 = 1, _ arguments: [UInt8] = [], room: Int = 4096
    ) throws -> Answer {
        let answer = try call(operation, node: node, arguments, room: room)
        guard answer.error == 0 else { throw Failure(operation: operation, error: answer.error) }
        return answer
    }

    /// The error that a request is answered with.
    func error(
        _ operation: FUSEOperation, node: UInt64 = 1, _ arguments: [UInt8] = [], room: Int = 4096
    ) throws -> Int32 {
        try call(operation, node: node, arguments, room: room).error
    }

    // MARK: What Linux asks for

    func lookUp(_ name: String, in node: UInt64 = 1) throws -> Answer { try must(.lookup, node: node, Self.name(name)) }

    /// The node at a path.
    func node(_ path: String) throws -> UInt64 {
        try path.split(separator: "/").reduce(1) { try lookUp(String($1), in: $0).node }
    }

    func create(_ name: String, in node: UInt64 = 1, flags: Int32 = O_RDWR, mode: UInt32 = 0o644) throws -> (
        node: UInt64, handle: UInt64
    ) {
        let answer = try must(
            .create, node: node, Self.words([UInt32(flags), 0o100_000 | mode, 0, 0]) + Self.name(name))
        return (answer.node, answer.number(at: 128))
    }

    func open(_ node: UInt64, flags: Int32 = O_RDONLY) throws -> UInt64 {
        try must(.open, node: node, Self.words([UInt32(flags), 0])).handle
    }

    static func write(_ handle: UInt64, at offset: UInt64, _ bytes: [UInt8], size: Int? = nil) -> [UInt8] {
        numbers([handle, offset]) + words([UInt32(size ?? bytes.count), 0]) + numbers([UInt64(0)]) + words([0, 0])
            + bytes
    }

    static func read(_ handle: UInt64, at offset: UInt64, _ size: Int) -> [UInt8] {
        numbers([handle, offset]) + words([UInt32(size), 0]) + numbers([UInt64(0)]) + words([0, 0])
    }

    func write(_ node: UInt64, _ handle: UInt64, at offset: UInt64, _ bytes: [UInt8]) throws -> Int {
        Int(try must(.write, node: node, Self.write(handle, at: offset, bytes)).number(at: 0, as: UInt32.self))
    }

    func read(_ node: UInt64, _ handle: UInt64, at offset: UInt64 = 0, _ size: Int = 4096) throws -> [UInt8] {
        try must(.read, node: node, Self.read(handle, at: offset, size), room: 16 + size).bytes
    }

    func release(_ node: UInt64, _ handle: UInt64, _ operation: FUSEOperation = .release) throws {
        _ = try must(operation, node: node, Self.numbers([handle, 0, 0]))
    }

    func forget(_ node: UInt64, _ count: UInt64 = 1) throws {
        XCTAssertNil(try send(bytes(2, node: node, Self.numbers([count])), room: 0))
    }

    func attributes(_ node: UInt64) throws -> Attributes {
        try must(.getAttributes, node: node, Self.numbers([UInt64(0), 0])).attributes
    }

    /// The arguments of SETATTR.
    static func attributes(
        _ valid: FUSEAttributes, handle: UInt64 = 0, size: UInt64 = 0, modified: UInt64 = 0, part: UInt32 = 0,
        mode: UInt32 = 0, user: UInt32 = 0, group: UInt32 = 0
    ) -> [UInt8] {
        words([valid.rawValue, 0]) + numbers([handle, size, 0, 0, modified, 0])
            + words([0, part, 0, mode, 0, user, group, 0])
    }

    /// The names of a folder, with where each entry's successor is.
    func names(_ node: UInt64 = 1, room: Int = 4096, isPlus: Bool = false) throws -> [String] {
        let handle = try must(.openFolder, node: node, Self.words([0, 0])).handle
        defer { try? release(node, handle, .releaseFolder) }
        var names: [String] = []
        var position: UInt64 = 0
        while true {
            let bytes = try must(
                isPlus ? .readFolderPlus : .readFolder, node: node, Self.read(handle, at: position, room),
                room: 16 + room
            ).bytes
            if bytes.isEmpty { return names }
            var place = 0
            while place < bytes.count {
                if isPlus { place += 128 }
                position = bytes.littleEndian(at: place + 8)
                let count = Int(bytes.littleEndian(at: place + 16, as: UInt32.self))
                names.append(String(decoding: bytes[place + 24..<place + 24 + count], as: UTF8.self))
                place += (24 + count + 7) / 8 * 8
            }
        }
    }
}
