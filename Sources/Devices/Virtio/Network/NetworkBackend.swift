import CKVM
public import Host

/// Where the frames of a guest's network device go, and come from.
public enum NetworkBackend: Sendable {
    /// A TAP interface of the host's kernel.
    case tap(TapInterface)
    /// A program that is spoken to by a socket, such as passt(1).
    case socket(FrameSocket)

    /// What to wait for.
    var descriptor: Int32 {
        switch self {
        case .tap(let tap): tap.descriptor
        case .socket(let socket): socket.descriptor
        }
    }

    /// The largest packet in a frame, if that is known.
    var mtu: UInt16? {
        switch self {
        case .tap(let tap): tap.mtu
        case .socket(let socket): socket.mtu
        }
    }

    /// The guest's address, if nobody chooses another.
    var address: MACAddress {
        switch self {
        case .tap(let tap): MACAddress(of: tap.name)
        case .socket: MACAddress.ofGuest
        }
    }
}

/// A TAP interface, to which this process is attached: what the guest sends arrives there.
public final class TapInterface: Sendable {
    /// The interface's name.
    public let name: String
    let mtu: UInt16?
    /// Whether the kernel takes frames without checksums, and large segments.
    let hasOffloads: Bool
    private let owned: OwnedDescriptor

    /// Attaches to an interface that is there, and that this process may use: its own user's, or any with CAP_NET_ADMIN.
    ///
    /// - Throws: ``NetworkError``.
    public init(name: String) throws(NetworkError) {
        var found = ckvm_tap()
        let result = unsafe ckvm_open_tap(ForeignText.cString(name), Int32(NetworkHeader.size), &found)
        guard result >= 0 else {
            let error = ErrorNumber(rawValue: 0 &- result)
            guard found.has_device else { throw .noTunnels(error) }
            throw result == -ENODEV ? .noInterface(name) : .refused(name, error)
        }
        owned = OwnedDescriptor(takingOver: result)
        self.name = name
        mtu = UInt16(exactly: found.mtu)
        hasOffloads = found.has_offloads
    }

    var descriptor: Int32 { owned.number }

    /// Says what frames that come out of it may be like.
    func setOffloads(_ offloads: NetworkOffloads) {
        var flags: UInt32 = 0
        // Segments are without a checksum.
        if offloads.checksums {
            flags |= ckvm_tap_checksums
            if offloads.tcpv4 { flags |= ckvm_tap_segments_v4 }
            if offloads.tcpv6 { flags |= ckvm_tap_segments_v6 }
        }
        // What comes otherwise all the same is dropped.
        _ = ckvm_set_tap_offloads(descriptor, flags)
    }
}

/// A stream socket by which frames go to a program and come from it, each behind its length in four bytes, big-endian: as
/// QEMU's `-netdev stream` does it, and passt(1).
public final class FrameSocket: Sendable {
    let mtu: UInt16?
    private let owned: OwnedDescriptor

    /// Takes over a socket that is connected.
    ///
    /// - Parameters:
    ///   - descriptor: The socket. Nobody else may use it any more.
    ///   - mtu: The largest packet that the program takes, if that is known.
    public init(takingOver descriptor: Int32, mtu: UInt16? = nil) {
        owned = OwnedDescriptor(takingOver: descriptor)
        self.mtu = mtu
        // It cannot fail on a descriptor that is open.
        _ = ckvm_set_nonblocking(descriptor)
    }

    /// Connects to a program that listens at a path.
    ///
    /// - Throws: ``NetworkError``.
    public convenience init(path: String) throws(NetworkError) {
        let result = unsafe ckvm_connect_path(ForeignText.cString(path))
        guard result >= 0 else { throw .notConnected(path: path, ErrorNumber(rawValue: 0 &- result)) }
        self.init(takingOver: result)
    }

    var descriptor: Int32 { owned.number }
}

/// The address of a network interface.
public struct MACAddress: Hashable, Sendable {
    /// Its six bytes.
    public let bytes: [UInt8]

    /// Reads six numbers of two hexadecimal digits with colons between them; nil for what is none, or not the address of
    /// one interface.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { part in
            part.utf8.count == 2 && part.allSatisfy(\.isHexDigit) ? UInt8(part, radix: 16) : nil
        }
        // Bit 0 of the first is for groups of interfaces.
        guard parts.count == 6, bytes.count == 6, bytes[0] & 1 == 0, bytes != [UInt8](repeating: 0, count: 6)
        else { return nil }
        self.bytes = bytes
    }

    /// The guest's where nobody else sees it: locally administered, "MVM".
    public static let ofGuest = MACAddress(locallyAdministered: [0x4d, 0x56, 0x4d, 0, 1])

    /// The guest's at an interface of the host: locally administered, and the same at each run, while another interface's
    /// guest has another. Five bytes of the name's hash, FNV-1a.
    init(of interface: String) {
        let hash = interface.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        self.init(locallyAdministered: (0..<5).map { UInt8(truncatingIfNeeded: hash >> UInt64(8 * $0)) })
    }

    private init(locallyAdministered rest: [UInt8]) {
        bytes = [2] + rest
    }
}

/// Why a guest cannot have a network.
public enum NetworkError: Error, Hashable, Sendable {
    /// The kernel's device for TAP interfaces cannot be opened.
    case noTunnels(ErrorNumber)
    /// There is no interface of that name.
    case noInterface(String)
    /// The interface is no TAP interface, in use, or somebody else's.
    case refused(String, ErrorNumber)
    /// Nobody listens at a path.
    case notConnected(path: String, ErrorNumber)
}

extension NetworkError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .noTunnels(let error):
            "TAP interfaces cannot be used: /dev/net/tun cannot be opened (\(error.name): \(error.description))."
        case .noInterface(let name): "There is no network interface \(name)."
        case .refused(let name, let error):
            switch error.rawValue {
            case EBUSY: "The TAP interface \(name) is in use by another process (EBUSY)."
            case EPERM: "The TAP interface \(name) belongs to another user (EPERM)."
            case EINVAL: "The network interface \(name) is not a TAP interface of one queue (EINVAL)."
            default: "The network interface \(name) cannot be used (\(error.name): \(error.description))."
            }
        case .notConnected(let path, let error):
            "The socket \(path) cannot be connected to (\(error.name): \(error.description))."
        }
    }
}
