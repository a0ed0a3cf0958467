import CKVM
import Glibc
public import Host
public import Memory

/// A kernel, an initrd, a flat image.
///
/// What the bytes say is never trusted: whoever loads them checks every length and offset.
public struct ImageFile: Sendable {
    /// What errors call the file: its path, or a name for bytes that come from elsewhere.
    public let path: String
    /// The bytes: all of them, or the beginning of a file that ``init(opening:limit:)`` has left where it is.
    public let bytes: [UInt8]
    /// The bytes of the whole file.
    public let size: UInt64
    /// The file, when not all of its bytes are here.
    private let rest: OpenFile?

    /// More than any kernel or initrd in use, and little enough to hold in memory: 1 GiB.
    public static let defaultLimit: UInt64 = 1 << 30

    /// Wraps bytes that are already there, under a name for errors.
    public init(path: String, bytes: [UInt8]) {
        self.init(path: path, bytes: bytes, size: UInt64(bytes.count), rest: nil)
    }

    private init(path: String, bytes: [UInt8], size: UInt64, rest: OpenFile?) {
        self.path = path
        self.bytes = bytes
        self.size = size
        self.rest = rest
    }

    /// Opens a file. Of a large one only the beginning is read, and the rest goes straight into the guest's memory when
    /// the file is loaded; another is read as a whole.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: The most bytes that are accepted.
    /// - Throws: ``ImageError`` when the file is none, cannot be read, is empty or too large.
    public init(opening path: String, limit: UInt64 = defaultLimit) throws(ImageError) {
        let expectedSize = try Self.checkedSize(path, limit: limit)
        let descriptor = try Self.open(path)
        var status = stat()
        guard expectedSize >= Self.largeRoom, unsafe fstat(descriptor.number, &status) == 0,
            status.st_mode & S_IFMT == S_IFREG, status.st_size >= Self.largeRoom
        else {
            try self.init(path: path, reading: descriptor.number, expectedSize: expectedSize, limit: limit)
            return
        }
        let size = UInt64(clamping: status.st_size)
        guard size <= limit else { throw .oversized(path: path, size: size, limit: limit) }
        let bytes = try Self.readWholly(path, descriptor.number, Self.beginningSize, at: 0)
        let rest = OpenFile(descriptor)
        self.init(path: path, bytes: bytes, size: size, rest: rest)
    }

    /// How much is read of a large file to find out what it is, in bytes: all formats tell it before.
    private static let beginningSize = 0x4_0000

    /// Reads a file. A pipe will do as well, so that a shell's process substitution works.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: The most bytes that are accepted.
    /// - Throws: ``ImageError`` when the file is none, cannot be read, is empty or too large.
    public init(reading path: String, limit: UInt64 = defaultLimit) throws(ImageError) {
        let expectedSize = try Self.checkedSize(path, limit: limit)
        let descriptor = try Self.open(path)
        try self.init(path: path, reading: descriptor.number, expectedSize: expectedSize, limit: limit)
    }

    /// Reads a file that is open already.
    ///
    /// - Parameters:
    ///   - path: What errors call it.
    ///   - descriptor: The file, at its start. It is not closed.
    ///   - expectedSize: The size that the system states, in bytes; 0 for what has none.
    ///   - limit: The most bytes that are accepted.
    package init(
        path: String, reading descriptor: Int32, expectedSize: Int, limit: UInt64 = defaultLimit
    ) throws(ImageError) {
        guard UInt64(clamping: expectedSize) <= limit, expectedSize < Int.max
        else { throw .oversized(path: path, size: UInt64(clamping: expectedSize), limit: limit) }
        var bytes: [UInt8] = []
        // One byte more than expected: the read that finds the end of the file then needs no second buffer.
        var room = max(expectedSize, Self.leastRoom) &+ 1
        var isAtEnd = false
        while !isAtEnd {
            let part = try Self.read(path, descriptor, atMost: room)
            isAtEnd = part.count < room
            bytes = bytes.isEmpty ? part : bytes + part
            guard UInt64(bytes.count) <= limit else { throw .oversized(path: path, size: nil, limit: limit) }
            room = max(bytes.count, Self.leastRoom)
        }
        guard !bytes.isEmpty else { throw .empty(path: path) }
        self.init(path: path, bytes: bytes)
    }

    /// The file with all of its bytes in memory.
    ///
    /// - Throws: ``ImageError`` when it cannot be read.
    package func whole() throws(ImageError) -> ImageFile {
        guard rest != nil else { return self }
        return ImageFile(path: path, bytes: try part(at: 0, count: size))
    }

    /// A part of the file.
    ///
    /// - Throws: ``ImageError`` when it cannot be read, or is not wholly inside.
    func part(at offset: UInt64, count: UInt64) throws(ImageError) -> [UInt8] {
        if let part = bytes.part(at: offset, count: count) { return Array(part) }
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard let rest, !overflow, end <= size else { throw .shortened(path: path) }
        // Both are at most the size, which is that of a file and so an Int.
        return try Self.readWholly(path, rest.descriptor.number, Int(count), at: Int(offset))
    }

    /// Reads as many bytes as are asked for.
    private static func readWholly(
        _ path: String, _ descriptor: Int32, _ count: Int, at offset: Int
    ) throws(ImageError) -> [UInt8] {
        let bytes = try read(path, descriptor, atMost: count, at: offset)
        guard bytes.count == count else { throw .shortened(path: path) }
        return bytes
    }

    /// Loads a part of the file into the guest, without a copy on the way.
    ///
    /// - Throws: ``ImageError`` when it cannot be read, is not wholly inside, or there is no such memory.
    func load(_ range: Range<UInt64>, into memory: GuestMemory, at address: GuestPhysicalAddress) throws(ImageError) {
        let count = range.upperBound - range.lowerBound
        guard range.upperBound <= size else { throw .shortened(path: path) }
        guard count > 0 else { return }
        guard let rest else {
            return try ImageError.loading(path) { () throws(GuestMemoryError) in
                // Both are at most the number of bytes.
                try memory.write(bytes[Int(range.lowerBound)..<Int(range.upperBound)], at: address)
            }
        }
        let window = try ImageError.loading(path) { () throws(GuestMemoryError) in
            try GuestWindow(memory, at: address, size: Int(count))
        }
        let (filled, failure) = unsafe window.withBytes(at: 0, count: Int(count)) { buffer in
            unsafe Self.fill(buffer, rest.descriptor.number, at: Int(range.lowerBound))
        }
        if let failure { throw .unreadable(path: path, failure) }
        guard filled == Int(count) else { throw .shortened(path: path) }
    }

    /// From how many bytes on their memory is taken from the system at once: 4 MiB.
    private static let largeRoom = 0x40_0000
    /// The least that is asked of the system at once, in bytes.
    private static let leastRoom = 0x1_0000

    /// The size that the system states, in bytes; 0 for what has none, such as a pipe.
    private static func checkedSize(_ path: String, limit: UInt64) throws(ImageError) -> Int {
        var status = stat()
        guard unsafe stat(ForeignText.cString(path), &status) == 0 else {
            throw .unreadable(path: path, ErrorNumber(rawValue: errno))
        }
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
        let name = ForeignText.cString(path)
        var result = unsafe ckvm_open(name, O_RDONLY)
        while result == -EINTR { result = unsafe ckvm_open(name, O_RDONLY) }
        guard result >= 0 else { throw .unreadable(path: path, ErrorNumber(rawValue: 0 &- result)) }
        return OwnedDescriptor(takingOver: result)
    }

    /// Reads into an array until it is full or the file ends.
    ///
    /// - Parameter offset: Where in the file; nil for where it stands, as in a pipe.
    private static func read(
        _ path: String, _ descriptor: Int32, atMost room: Int, at offset: Int? = nil
    ) throws(ImageError) -> [UInt8] {
        // An array that the system has no memory for would end the process; asking first costs no memory.
        guard let probe = unsafe malloc(room) else { throw .unreadable(path: path, .outOfMemory) }
        unsafe free(probe)
        var failure: ErrorNumber?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            let whole = unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<room])
            (count, failure) = unsafe fill(whole, descriptor, at: offset)
        }
        if let failure { throw .unreadable(path: path, failure) }
        return bytes
    }

    /// Fills a buffer until it is full or the file ends. It is the process's own, or guest memory that nothing else uses
    /// yet.
    private static func fill(
        _ buffer: UnsafeMutableRawBufferPointer, _ descriptor: Int32, at offset: Int?
    ) -> (count: Int, failure: ErrorNumber?) {
        guard let start = buffer.baseAddress else { return (0, nil) }
        // In large pages, and all at once: a kernel would take thousands of page faults otherwise.
        if buffer.count >= largeRoom { unsafe ckvm_populate(start, buffer.count) }
        var count = 0
        while count < buffer.count {
            // Sound: as many bytes as are asked for are left behind start + count.
            let left = buffer.count - count
            let result =
                if let offset {
                    unsafe ckvm_pread(descriptor, start + count, left, Int64(offset) &+ Int64(count))
                } else {
                    unsafe ckvm_read(descriptor, start + count, left)
                }
            if result == -Int(EINTR) { continue }
            if result < 0 { return (count, ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- result))) }
            if result == 0 { break }
            count += result
        }
        return (count, nil)
    }
}

/// A file that stays open, and is read where it is needed.
private final class OpenFile: Sendable {
    let descriptor: OwnedDescriptor

    init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }
}

/// Why a file does not become a guest.
public enum ImageError: Error, Hashable, Sendable {
    /// The system does not let the file be read.
    case unreadable(path: String, ErrorNumber)
    /// The file became shorter while it was read.
    case shortened(path: String)
    /// What stands at the path is no file with an end: "a directory", "a character device".
    case notAFile(path: String, kind: String)
    /// The file has no bytes.
    case empty(path: String)
    /// The file is larger than what it is for; the size is nil when it was not read to its end. Bytes.
    case oversized(path: String, size: UInt64?, limit: UInt64)
    /// The file is of a format that MiniVMM recognizes and does not boot.
    case unsupported(path: String, ImageFormat)
    /// The file is of a format that MiniVMM boots, and wants something that MiniVMM does not do. The reason goes on a
    /// sentence that begins with "it".
    case notBootable(path: String, ImageFormat, reason: String)
    /// The file contradicts itself. The problem is a sentence without its full stop.
    case damaged(path: String, ImageFormat, problem: String)
    /// The guest's memory ends before what the file needs does: both addresses.
    case needsMoreMemory(path: String, upTo: GuestPhysicalAddress, end: GuestPhysicalAddress)
    /// The guest has no memory where the file wants to be.
    case noMemory(path: String, GuestMemoryError)
    /// The kernel does not take a command line that long. Bytes.
    case commandLineTooLong(size: Int, limit: UInt64)
    /// The command line holds a zero byte, which would end it.
    case commandLineHasZero

    /// What MiniVMM boots, in words.
    package static let accepted =
        "a bzImage kernel, an ELF kernel for x86-64 with a PVH note, a Multiboot kernel, or a flat 16-bit image"

    /// Runs an access to guest memory for a file, and blames the file when there is no such memory.
    static func loading<Result>(
        _ path: String,
        _ body: () throws(GuestMemoryError) -> Result
    ) throws(ImageError) -> Result {
        do {
            return try body()
        } catch {
            throw .noMemory(path: path, error)
        }
    }
}

extension ImageError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .unreadable(let path, let error):
            return "\(path) cannot be read (\(error.name): \(error.description))."
        case .shortened(let path):
            return "\(path) became shorter while it was read."
        case .notAFile(let path, let kind):
            return "\(path) is \(kind), not a file."
        case .empty(let path):
            return "\(path) is empty."
        case .oversized(let path, let size, let limit):
            let words = size.map { "has \(ByteCount($0))" } ?? "goes on"
            return "\(path) \(words), and the most that fits is \(ByteCount(limit))."
        case .unsupported(let path, let format):
            return "\(path) is \(format), which MiniVMM does not boot."
        case .notBootable(let path, let format, let reason):
            return "\(path) is \(format), but it \(reason)."
        case .damaged(let path, let format, let problem):
            return "\(path) is \(format), but a damaged one: \(problem)."
        case .needsMoreMemory(let path, let address, let end):
            return "\(path) needs guest memory up to \(address), and the memory that it can use ends at \(end)."
        case .noMemory(let path, let error):
            return "\(path) does not fit into the guest: \(error.explanation)"
        case .commandLineTooLong(let size, let limit):
            return "The kernel's command line has \(size) bytes, and this kernel takes \(limit) at most."
        case .commandLineHasZero:
            return "The kernel's command line holds a zero byte, at which the kernel would stop reading."
        }
    }
}

/// Integers in the bytes of a file. Every format that MiniVMM loads is little-endian.
extension [UInt8] {
    /// The integer at an offset, or nil when it is not wholly inside.
    package func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self,
        at offset: UInt64
    ) -> Value? {
        guard let start = Int(exactly: offset), start <= count, count &- start >= MemoryLayout<Value>.size
        else { return nil }
        return unsafe withUnsafeBytes { bytes in
            // Sound: the check covers every byte of Value, and an unaligned load of a bitwise-copyable type is defined.
            unsafe Value(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: Value.self))
        }
    }

    /// The bytes of a range, or nil when it is not wholly inside.
    package func part(at offset: UInt64, count size: UInt64) -> ArraySlice<UInt8>? {
        let (end, overflow) = offset.addingReportingOverflow(size)
        guard !overflow, end <= UInt64(count) else { return nil }
        // Both are at most `count`, which is an Int.
        return self[Int(offset)..<Int(end)]
    }

    /// Whether the bytes at an offset are these.
    package func hasBytes(_ expected: [UInt8], at offset: Int) -> Bool {
        part(at: UInt64(offset), count: UInt64(expected.count))?.elementsEqual(expected) ?? false
    }

    /// Appends an integer, little-endian.
    package mutating func append(integer value: some FixedWidthInteger & BitwiseCopyable) {
        unsafe Swift.withUnsafeBytes(of: value.littleEndian) { unsafe append(contentsOf: $0) }
    }
}
