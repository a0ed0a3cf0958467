import CKVM

/// Frames of Ethernet, as far as devices look at them.
enum NetworkFrame {
    /// A header alone: two addresses and a type.
    static let minimumSize = 14
    /// The largest packet of IP behind a header with a VLAN's tag.
    static let maximumSize = 65_535 + minimumSize + 4
}

/// What frames of one direction may leave to be done.
struct NetworkOffloads: Hashable, Sendable {
    /// Whether the checksum may be left out.
    var checksums = false
    /// Whether there may be large segments of TCP over IPv4.
    var tcpv4 = false
    /// The same over IPv6.
    var tcpv6 = false
}

/// What stands before each frame in a queue: what is left to do for it. All is little-endian.
///
/// Source: virtio 1.2, section 5.1.6 "Device Operation", struct virtio_net_hdr.
struct NetworkHeader: BitwiseCopyable {
    static let size = 12
    /// Flags: a checksum that is left to the receiver; a frame whose checksums are known to be right.
    static let needsChecksum: UInt8 = 1
    static let isChecked: UInt8 = 2

    /// What a segment larger than the MTU is of.
    enum Segments: UInt8 {
        /// The frame is no such segment.
        case absent = 0
        case tcpv4 = 1
        case tcpv6 = 4
    }

    /// The flags, the kind of segment, the size of headers, the size of segments, and where checksums start.
    private var first: UInt64 = 0
    /// Where a checksum is to be put, and the number of buffers.
    private var second: UInt32 = 0

    /// Nothing to do.
    init() {}

    /// Reads the header of a frame that the guest sends, once.
    init(_ buffers: GuestBuffers) {
        first = buffers.load(at: 0)
        second = buffers.load(at: 8)
        // What a driver leaves there means nothing.
        bufferCount = 0
    }

    var flags: UInt8 {
        get { UInt8(truncatingIfNeeded: UInt64(littleEndian: first)) }
        set { first = (UInt64(littleEndian: first) & ~0xff | UInt64(newValue)).littleEndian }
    }

    /// Nil for what nobody can have agreed upon.
    var segments: Segments? { Segments(rawValue: UInt8(truncatingIfNeeded: UInt64(littleEndian: first) >> 8)) }

    /// How many requests a received frame is spread over.
    var bufferCount: UInt16 {
        get { UInt16(truncatingIfNeeded: UInt32(littleEndian: second) >> 16) }
        set { second = (UInt32(littleEndian: second) & 0xffff | UInt32(newValue) << 16).littleEndian }
    }

    /// Whether it asks for nothing that was not agreed upon.
    func isAllowed(by offloads: NetworkOffloads) -> Bool {
        guard flags & Self.needsChecksum == 0 || offloads.checksums else { return false }
        return switch segments {
        case .absent: true
        case .tcpv4: offloads.tcpv4
        case .tcpv6: offloads.tcpv6
        case nil: false
        }
    }

    /// Puts it before a received frame.
    func write(to buffers: GuestBuffers) {
        var copy = self
        unsafe withUnsafeMutableBytes(of: &copy) {
            // Sound: the type has as many bytes, and the last of them are the last field's.
            unsafe buffers.write(copying: UnsafeRawBufferPointer(rebasing: $0[..<Self.size]), at: 0)
        }
    }
}

/// Memory for frames on their way. It belongs to one thread.
// Safe to use: what is asked for is checked against its size.
@safe
final class FrameBuffer {
    /// Its bytes.
    let size: Int
    private let bytes: UnsafeMutableRawBufferPointer

    /// Memory of zeros.
    init(size: Int) {
        self.size = size
        unsafe bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        unsafe bytes.deallocate()
    }

    /// A part of it.
    private func part(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        // Sound: a slice is checked against the buffer.
        unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[range])
    }

    /// A part of it, for a call during which the buffer is there.
    func vector(_ range: Range<Int>) -> iovec {
        let part = unsafe part(range)
        return unsafe iovec(iov_base: part.baseAddress, iov_len: part.count)
    }

    /// Copies a part of it into the guest's buffers.
    func copy(_ range: Range<Int>, to buffers: GuestBuffers, at offset: Int) {
        unsafe buffers.write(copying: UnsafeRawBufferPointer(part(range)), at: offset)
    }

    /// Copies bytes of the guest's buffers into it.
    func copy(from buffers: GuestBuffers, at offset: Int, to range: Range<Int>) {
        unsafe buffers.read(at: offset, into: part(range))
    }

    /// Moves a part of it to its start.
    func moveToStart(_ range: Range<Int>) {
        let source = unsafe part(range)
        // Sound: both are of this buffer, and may overlap.
        if let target = unsafe bytes.baseAddress, let start = source.baseAddress {
            unsafe target.copyMemory(from: start, byteCount: source.count)
        }
    }

    /// Reads a number of 32 bits in the order of networks.
    func bigEndian32(at offset: Int) -> Int {
        // Sound: the part has four bytes.
        Int(unsafe UInt32(bigEndian: part(offset..<offset + 4).loadUnaligned(as: UInt32.self)))
    }

    /// Writes a number of 32 bits in the order of networks.
    func store(bigEndian32 value: Int, at offset: Int) {
        // Sound: as above.
        unsafe part(offset..<offset + 4).storeBytes(
            of: UInt32(truncatingIfNeeded: value).bigEndian, as: UInt32.self)
    }
}
