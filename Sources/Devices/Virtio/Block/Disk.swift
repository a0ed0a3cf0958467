package import CKVM
public import Host

/// A file or block device of the host that is a guest's disk, open and locked.
///
/// Another process that would use the same file as a disk is refused, unless both only read. The lock is one of flock(2):
/// it keeps out those alone that ask for one, too.
public final class Disk: Sendable {
    /// The bytes of a sector, the unit in which the guest counts. Source: virtio 1.2, section 5.2.
    static let sectorSize: UInt64 = 512

    /// The path, for people.
    public let path: String
    /// Whether the guest cannot write.
    public let isReadOnly: Bool
    /// The whole sectors of the file.
    let sectorCount: UInt64
    /// Whether stretches of the file can be given back to its file system.
    let punchesHoles: Bool
    private let owned: OwnedDescriptor
    private let calls: DiskCalls

    /// Opens a disk.
    ///
    /// - Parameters:
    ///   - path: A regular file or a block device.
    ///   - isReadOnly: Whether the guest cannot write.
    /// - Throws: ``DiskError``.
    public convenience init(path: String, isReadOnly: Bool = false) throws(DiskError) {
        try self.init(path: path, isReadOnly: isReadOnly, calls: .live)
    }

    package init(path: String, isReadOnly: Bool, calls: DiskCalls) throws(DiskError) {
        var found = ckvm_disk()
        let result = unsafe ckvm_open_disk(ForeignText.cString(path), isReadOnly, &found)
        switch result {
        case 0...: owned = OwnedDescriptor(takingOver: result)
        case -EAGAIN: throw .inUse(path: path)
        case -EINVAL: throw .notADisk(path: path)
        default: throw .notUsable(path: path, ErrorNumber(rawValue: 0 &- result))
        }
        self.path = path
        self.isReadOnly = isReadOnly
        self.calls = calls
        sectorCount = found.size / Self.sectorSize
        punchesHoles = found.punches_holes
        guard sectorCount > 0, found.size <= UInt64(Int64.max) else { throw .empty(path: path) }
    }

    /// Whether a stretch of the disk is there.
    func contains(sector: UInt64, count: UInt64) -> Bool {
        sector <= sectorCount && count <= sectorCount - sector
    }

    /// Moves bytes between the guest's buffers and the disk.
    ///
    /// - Parameters:
    ///   - range: Which bytes of the buffers.
    ///   - buffers: The guest's.
    ///   - sector: Where on the disk. The caller has checked that all of it is there.
    ///   - isWrite: Whether the disk is written to.
    /// - Returns: Whether all were moved.
    func move(_ range: Range<Int>, of buffers: GuestBuffers, sector: UInt64, isWrite: Bool) -> Bool {
        let start = Int64(sector * Self.sectorSize)
        let call = unsafe isWrite ? calls.write : calls.read
        var done = 0
        while done < range.count {
            let offset = start + Int64(done)
            let result = unsafe buffers.withVectors(range.lowerBound + done..<range.upperBound) { parts, count in
                unsafe call(owned.number, parts, count, offset)
            }
            if result == -Int(EINTR) { continue }
            // Nothing at all: somebody has made the file shorter.
            guard result > 0 else { return false }
            done += result
        }
        return true
    }

    /// Has everything that was written reach the disk.
    ///
    /// - Returns: Whether it did.
    func flush() -> Bool {
        while true {
            let result = calls.flush(owned.number)
            if result != -EINTR { return result == 0 }
        }
    }

    /// Gives a stretch back to the file system.
    func discard(sector: UInt64, count: UInt64) -> Bool {
        let (offset, size) = (Int64(sector * Self.sectorSize), Int64(count * Self.sectorSize))
        return size == 0 || ckvm_punch_hole(owned.number, offset, size) == 0
    }

    /// Makes a stretch zeros.
    ///
    /// - Parameter mayDiscard: Whether it may be given back to the file system.
    func writeZeros(sector: UInt64, count: UInt64, mayDiscard: Bool) -> Bool {
        if mayDiscard, punchesHoles, discard(sector: sector, count: count) { return true }
        let (offset, size) = (Int64(sector * Self.sectorSize), Int64(count * Self.sectorSize))
        if size == 0 || ckvm_zero_range(owned.number, offset, size) == 0 { return true }
        return writeZerosByHand(from: offset, size: size)
    }

    private func writeZerosByHand(from offset: Int64, size: Int64) -> Bool {
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        var done: Int64 = 0
        while done < size {
            let count = Int(min(size - done, Int64(zeros.count)))
            let result = unsafe zeros.withUnsafeBytes { bytes in
                // Sound: pwritev(2) reads from the part alone, and no more than `count` bytes of it.
                var part = unsafe iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: count)
                return unsafe calls.write(owned.number, &part, 1, offset + done)
            }
            if result == -Int(EINTR) { continue }
            guard result > 0 else { return false }
            done += Int64(result)
        }
        return true
    }
}

/// The system calls of a disk, in a place that tests can replace. Each returns a number of bytes, 0, or -errno.
// Safe to use: the closures are given vectors that are lent for the call, with their number.
@safe
package struct DiskCalls: Sendable {
    /// preadv(2) and pwritev(2).
    package typealias Move = @Sendable (Int32, UnsafePointer<iovec>?, Int32, Int64) -> Int

    package var read: Move = { unsafe ckvm_preadv($0, $1, $2, $3) }
    package var write: Move = { unsafe ckvm_pwritev($0, $1, $2, $3) }
    package var flush: @Sendable (Int32) -> Int32 = { ckvm_fdatasync($0) }

    package init() {}

    /// The system's own.
    package static let live = DiskCalls()
}

/// Why a file cannot be a disk.
public enum DiskError: Error, Hashable, Sendable {
    /// It cannot be opened.
    case notUsable(path: String, ErrorNumber)
    /// It is neither a regular file nor a block device.
    case notADisk(path: String)
    /// It has not one sector; or more than any file has.
    case empty(path: String)
    /// Another process uses it as a disk.
    case inUse(path: String)
}

extension DiskError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notUsable(let path, let error):
            "The disk \(path) cannot be opened (\(error.name): \(error.description))."
        case .notADisk(let path): "\(path) cannot be a disk: it is neither a regular file nor a block device."
        case .empty(let path): "\(path) cannot be a disk: it has less than \(Disk.sectorSize) bytes."
        case .inUse(let path): "The disk \(path) is in use by another process."
        }
    }
}
