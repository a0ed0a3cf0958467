import CKVM
import Host
import Memory

/// The virtio block device: a disk.
///
/// One queue, which a worker serves on a thread of its own, a request at a time and in order. What the disk answers with
/// an error, the guest gets as VIRTIO_BLK_S_IOERR. A request without room for its header and its status is against the
/// specification.
///
/// Data is written to the file as the request comes, through the host's page cache, and a flush is fdatasync(2): what the
/// guest was told is flushed survives a crash of the host as far as its own disk does.
///
/// Source: virtio 1.2, section 5.2 "Block Device".
package final class BlockDevice: VirtioDevice {
    package static let kind = VirtioKind.block
    static let queueSizes: [UInt16] = [256]

    /// Source: section 5.2.3 "Feature bits".
    private enum Feature {
        static let maximumSegments: UInt64 = 1 << 2
        static let readOnly: UInt64 = 1 << 5
        static let blockSize: UInt64 = 1 << 6
        static let flush: UInt64 = 1 << 9
        static let discard: UInt64 = 1 << 13
        static let writeZeros: UInt64 = 1 << 14
    }

    package let features: UInt64
    private let disk: Disk
    private let identity: [UInt8]
    private let link: VirtioLink
    private let bell: Doorbell
    private let isEnding: @Sendable () -> Bool

    /// A block device.
    ///
    /// - Parameters:
    ///   - disk: What it stands for.
    ///   - identity: What the guest reads as its serial number: up to 20 bytes.
    ///   - bell: What wakes ``work(_:)``.
    ///   - isEnding: Whether the run is being ended.
    init(
        _ disk: Disk, identity: String, _ link: VirtioLink, bell: Doorbell, isEnding: @escaping @Sendable () -> Bool
    ) {
        self.disk = disk
        self.link = link
        self.bell = bell
        self.isEnding = isEnding
        self.identity = Array(identity.utf8.prefix(Self.identitySize))
        var features = Feature.maximumSegments | Feature.blockSize | Feature.flush
        if disk.isReadOnly { features |= Feature.readOnly } else { features |= Feature.writeZeros }
        if disk.punchesHoles { features |= Feature.discard }
        self.features = features
    }

    package func start() { bell.ring() }
    package func notify(_ queue: Int) { bell.ring() }
    package func reset() {}

    /// Serves the guest until the run ends. On a thread of its own.
    func work(_ control: Worker.Control) {
        bell.forEachRing(until: control.descriptor) {
            while !isEnding(), link.serveOne(0, serve) {}
        }
    }
}

// MARK: Requests

extension BlockDevice {
    /// What a request asks for. Source: virtio 1.2, section 5.2.6 "Device Operation".
    private enum Operation: UInt32 {
        case read = 0
        case write = 1
        case flush = 4
        case identify = 8
        case discard = 11
        case writeZeros = 13
    }

    /// What became of it.
    enum Status: UInt8 {
        case done = 0
        case failed = 1
        case notSupported = 2
    }

    static let headerSize = 16
    private static let identitySize = 20
    /// The bytes of a stretch to discard or to make zeros.
    private static let stretchSize = 16

    /// Does what a request asks for.
    ///
    /// - Returns: How many bytes it has written.
    private func serve(_ chain: DescriptorChain) throws(VirtqueueFault) -> Int {
        guard chain.readable.byteCount >= Self.headerSize, chain.writable.byteCount > 0 else { throw .request }
        let statusOffset = chain.writable.byteCount - 1
        let (status, written) = perform(
            Operation(rawValue: chain.readable.load(at: 0)), sector: chain.readable.load(at: 8), chain)
        chain.writable.write([status.rawValue], at: statusOffset)
        // The count says how much of the buffers from their start is the device's; the status stands at the end.
        return status == .done && written == statusOffset ? written + 1 : chain.writable.byteCount
    }

    private func perform(
        _ operation: Operation?, sector: UInt64, _ chain: DescriptorChain
    ) -> (Status, written: Int) {
        switch operation {
        case .read: return read(sector, 0..<chain.writable.byteCount - 1, of: chain.writable)
        case .write: return (write(sector, Self.headerSize..<chain.readable.byteCount, of: chain.readable), 0)
        case .flush: return (disk.flush() ? .done : .failed, 0)
        case .identify:
            let room = chain.writable.byteCount - 1
            guard room >= Self.identitySize else { return (.failed, 0) }
            let padding = [UInt8](repeating: 0, count: Self.identitySize - identity.count)
            return (.done, chain.writable.write((identity + padding)[...]))
        case .discard, .writeZeros: return (change(chain.readable, isDiscard: operation == .discard), 0)
        case nil: return (.notSupported, 0)
        }
    }

    /// Whether bytes are whole sectors of the disk.
    private func isValid(_ sector: UInt64, _ byteCount: Int) -> Bool {
        let count = UInt64(byteCount)
        return count % Disk.sectorSize == 0 && disk.contains(sector: sector, count: count / Disk.sectorSize)
    }

    private func read(_ sector: UInt64, _ range: Range<Int>, of buffers: GuestBuffers) -> (Status, written: Int) {
        guard isValid(sector, range.count) else { return (.failed, 0) }
        return disk.move(range, of: buffers, sector: sector, isWrite: false) ? (.done, range.count) : (.failed, 0)
    }

    private func write(_ sector: UInt64, _ range: Range<Int>, of buffers: GuestBuffers) -> Status {
        guard !disk.isReadOnly, isValid(sector, range.count) else { return .failed }
        return disk.move(range, of: buffers, sector: sector, isWrite: true) ? .done : .failed
    }

    /// Discards stretches of the disk, or makes them zeros. Source: section 5.2.6.1 and 5.2.6.2.
    private func change(_ buffers: GuestBuffers, isDiscard: Bool) -> Status {
        guard !disk.isReadOnly, !isDiscard || disk.punchesHoles else { return .notSupported }
        let size = buffers.byteCount - Self.headerSize
        guard size > 0, size % Self.stretchSize == 0, size / Self.stretchSize <= Int(Self.maximumStretches)
        else { return .failed }
        for offset in stride(from: Self.headerSize, to: buffers.byteCount, by: Self.stretchSize) {
            let sector: UInt64 = buffers.load(at: offset)
            let count: UInt32 = buffers.load(at: offset + 8)
            let flags: UInt32 = buffers.load(at: offset + 12)
            // Bit 0: it may be given back. A discard says so by itself.
            guard flags & ~1 == 0, !isDiscard || flags == 0 else { return .notSupported }
            let limit = isDiscard ? Self.maximumDiscard : Self.maximumZeros
            guard count <= limit, disk.contains(sector: sector, count: UInt64(count)) else { return .failed }
            let isDone =
                isDiscard
                ? disk.discard(sector: sector, count: UInt64(count))
                : disk.writeZeros(sector: sector, count: UInt64(count), mayDiscard: flags == 1)
            guard isDone else { return .failed }
        }
        return .done
    }

    /// The most stretches of one request.
    private static let maximumStretches: UInt32 = 16
    /// The most sectors that a stretch to discard has: 2 GiB.
    private static let maximumDiscard: UInt32 = 1 << 22
    /// The most sectors that a stretch to make zeros has: 16 MiB, which may have to be written.
    private static let maximumZeros: UInt32 = 1 << 15

    /// What the driver reads of a disk. Source: section 5.2.4 "Device configuration layout".
    static func configuration(of disk: Disk) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(disk.sectorCount)
        // The size of a segment, which has no limit.
        builder.add(UInt32(0))
        // With its header and status, a request takes as many descriptors as the queue has.
        builder.add(UInt32(queueSizes[0]) - 2)
        // A geometry of cylinders, heads and sectors, which is not offered.
        builder.add(UInt32(0))
        builder.add(UInt32(Disk.sectorSize))
        // Topology, write-back, number of queues: not offered.
        builder.add(UInt64(0))
        builder.add(UInt32(0))
        builder.add(maximumDiscard)
        builder.add(maximumStretches)
        // Discards start and end anywhere.
        builder.add(UInt32(1))
        builder.add(maximumZeros)
        builder.add(maximumStretches)
        // Zeros may be stretches that are given back.
        builder.add(UInt32(1))
        return builder.bytes
    }
}

/// A disk for the guest, by virtio.
public struct VirtioDisk: Component {
    private let disk: Disk

    /// A disk.
    public init(_ disk: Disk) {
        self.disk = disk
    }

    public func attach(to attachments: inout Attachments) throws {
        let number = attachments.virtioCount(of: Self.name)
        let bell = try Doorbell()
        let isEnding = attachments.machine.isEnding
        let device = try attachments.virtio(
            named: "\(Self.name) \(number)", queueSizes: BlockDevice.queueSizes,
            configuration: BlockDevice.configuration(of: disk), bells: [bell]
        ) { link in
            BlockDevice(disk, identity: "minivmm-disk\(number)", link, bell: bell, isEnding: isEnding)
        }
        attachments.worker(named: "disk \(number)") { device.work($0) }
    }

    private static let name = "virtio disk"
}
