import CKVM
import Glibc

/// A file in this process's memory: a kernel, an initrd, a flat image.
///
/// What the bytes say is never trusted: whoever loads them checks every length and offset.
public struct ImageFile: Hashable, Sendable {
    /// What errors call the file: its path, or a name for bytes that come from elsewhere.
    public let path: String
    /// The bytes.
    public let bytes: [UInt8]

    /// More than any kernel or initrd in use, and little enough to hold in memory: 1 GiB.
    public static let defaultLimit: UInt64 = 1 << 30

    /// Wraps bytes that are already there, under a name for errors.
    public init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
    }

    /// Reads a file. A pipe will do as well, so that a shell's process substitution works.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: The most bytes that are accepted.
    /// - Throws: ``ImageError`` when the file is none, cannot be read, is empty or too large.
    public init(reading path: String, limit: UInt64 = defaultLimit) throws(ImageError) {
        let expectedSize = try Self.checkedSize(path, limit: limit)
        let descriptor = try Self.open(path)
        var bytes: [UInt8] = []
        // One byte more than expected: the read that finds the end of the file then needs no second buffer.
        var room = max(expectedSize, Self.leastRoom) &+ 1
        var isAtEnd = false
        while !isAtEnd {
            let part = try Self.read(path, descriptor.number, atMost: room)
            isAtEnd = part.count < room
            bytes = bytes.isEmpty ? part : bytes + part
            guard UInt64(bytes.count) <= limit else { throw .oversized(path: path, size: nil, limit: limit) }
            room = max(bytes.count, Self.leastRoom)
        }
        guard !bytes.isEmpty else { throw .empty(path: path) }
        self.init(path: path, bytes: bytes)
    }

    /// The least that is asked of the system at once, in bytes.
    private static let leastRoom = 0x1_0000

    /// The size that the system states, in bytes; 0 for what has none, such as a pipe.
    private static func checkedSize(_ path: String, limit: UInt64) throws(ImageError) -> Int {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .unreadable(path: path, ErrorNumber(rawValue: errno)) }
        switch status.st_mode & S_IFMT {
        case S_IFREG, S_IFIFO: break
        case S_IFDIR: throw .notAFile(path: path, kind: "a directory")
        case S_IFCHR: throw .notAFile(path: path, kind: "a character device")
        case S_IFBLK: throw .notAFile(path: path, kind: "a block device")
        default: throw .notAFile(path: path, kind: "a socket")
        }
        let size = UInt64(clamping: status.st_size)
        guard size <= limit, let count = Int(exactly: size), count < Int.max
        else { throw .oversized(path: path, size: size, limit: limit) }
        return count
    }

    private static func open(_ path: String) throws(ImageError) -> OwnedDescriptor {
        var result = ckvm_open(path, O_RDONLY)
        while result == -EINTR { result = ckvm_open(path, O_RDONLY) }
        guard result >= 0 else { throw .unreadable(path: path, ErrorNumber(rawValue: 0 &- result)) }
        return OwnedDescriptor(takingOver: result)
    }

    /// Reads until the room is filled or the file ends.
    private static func read(
        _ path: String,
        _ descriptor: Int32,
        atMost room: Int
    ) throws(ImageError) -> [UInt8] {
        // An array that the system has no memory for would end the process; asking first costs no memory.
        guard let probe = malloc(room) else { throw .unreadable(path: path, .outOfMemory) }
        free(probe)
        var failure: Int?
        let bytes = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            while count < room, let start = buffer.baseAddress {
                // Sound: room - count bytes are left behind start + count.
                let result = ckvm_read(descriptor, start + count, room - count)
                if result == -Int(EINTR) { continue }
                if result < 0 { failure = result }
                if result <= 0 { return }
                count += result
            }
        }
        if let failure {
            throw .unreadable(path: path, ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- failure)))
        }
        return bytes
    }
}
