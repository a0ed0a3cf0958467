import Host
import Memory
import Synchronization

/// What a network device and its driver can agree upon. Source: virtio 1.2, section 5.1.3 "Feature bits".
struct NetworkFeatures: OptionSet, Sendable {
    let rawValue: UInt64

    /// The guest may send frames without a checksum.
    static let sendsUnchecked = Self(rawValue: 1 << 0)
    /// The guest takes frames without a checksum.
    static let takesUnchecked = Self(rawValue: 1 << 1)
    /// The device says what the largest packet is.
    static let mtu = Self(rawValue: 1 << 3)
    /// The device says what the guest's address is.
    static let address = Self(rawValue: 1 << 5)
    /// The guest takes segments of TCP over IPv4, or IPv6, that are larger than the MTU.
    static let takesSegmentsV4 = Self(rawValue: 1 << 7)
    static let takesSegmentsV6 = Self(rawValue: 1 << 8)
    /// The guest may send such.
    static let sendsSegmentsV4 = Self(rawValue: 1 << 11)
    static let sendsSegmentsV6 = Self(rawValue: 1 << 12)
    /// A received frame may take several requests.
    static let mergesBuffers = Self(rawValue: 1 << 15)
    /// The device says whether it is connected.
    static let status = Self(rawValue: 1 << 16)

    /// What frames to the guest may be like.
    var taken: NetworkOffloads {
        NetworkOffloads(
            checksums: contains(.takesUnchecked), tcpv4: contains(.takesSegmentsV4), tcpv6: contains(.takesSegmentsV6))
    }

    /// What frames from the guest may be like.
    var sent: NetworkOffloads {
        NetworkOffloads(
            checksums: contains(.sendsUnchecked), tcpv4: contains(.sendsSegmentsV4), tcpv6: contains(.sendsSegmentsV6))
    }

    /// What a backend can do.
    static func of(_ backend: NetworkBackend) -> Self {
        var features: Self = [.address, .mergesBuffers, .status]
        if backend.mtu != nil { features.insert(.mtu) }
        if case .tap(let tap) = backend, tap.hasOffloads {
            features.formUnion([
                .sendsUnchecked, .takesUnchecked, .takesSegmentsV4, .takesSegmentsV6, .sendsSegmentsV4,
                .sendsSegmentsV6,
            ])
        }
        return features
    }
}

/// The virtio network device.
///
/// A queue for frames to the guest, and one for those from it, each served by a thread of its own. Frames that the guest
/// has no buffers for wait outside, and so do those that the other side does not take in the guest's queue. A frame that
/// asks for what was not agreed upon, or that is too short or too long, is dropped, as networks do. A request without
/// room for its header is against the specification.
///
/// When the other side is gone, the guest finds that it is not connected any more.
///
/// Source: virtio 1.2, section 5.1 "Network Device".
package final class NetworkDevice: VirtioDevice {
    package static let kind = VirtioKind.network
    static let queueSizes: [UInt16] = [256, 256]

    /// The queues by their numbers.
    private enum Queue {
        static let receiving = 0
        static let sending = 1
    }

    /// What wakes the threads, by the numbers of their queues.
    struct Bells: Sendable {
        let receiving: Doorbell
        let sending: Doorbell

        /// - Throws: `ResourceError`.
        init() throws(ResourceError) {
            receiving = try Doorbell()
            sending = try Doorbell()
        }

        var all: [Doorbell] { [receiving, sending] }
    }

    package let features: UInt64
    /// The frames that have passed.
    package let counts = NetworkCounts()
    private let backend: NetworkBackend
    private let address: MACAddress
    private let link: VirtioLink
    private let bells: Bells
    private let isEnding: @Sendable () -> Bool

    /// A network device.
    ///
    /// - Parameters:
    ///   - backend: Where frames go and come from.
    ///   - address: The guest's.
    ///   - bells: What wakes ``receive(_:)`` and ``send(_:)``.
    ///   - isEnding: Whether the run is being ended.
    init(
        _ backend: NetworkBackend, address: MACAddress, _ link: VirtioLink, bells: Bells,
        isEnding: @escaping @Sendable () -> Bool
    ) {
        self.backend = backend
        self.address = address
        self.link = link
        self.bells = bells
        self.isEnding = isEnding
        features = NetworkFeatures.of(backend).rawValue
    }

    package func start() {
        for bell in bells.all { bell.ring() }
    }

    package func notify(_ queue: Int) {
        (queue == Queue.receiving ? bells.receiving : bells.sending).ring()
    }

    package func reset() {
        // What frames may be like is not agreed upon any more.
        bells.receiving.ring()
    }

    /// What the driver reads of the device. Source: section 5.1.4 "Device configuration layout".
    static func configuration(_ backend: NetworkBackend, _ address: MACAddress, isConnected: Bool = true) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(address.bytes)
        builder.add(UInt16(isConnected ? 1 : 0))
        // The most pairs of queues, where there can be several.
        builder.add(UInt16(1))
        builder.add(backend.mtu ?? 0)
        return builder.bytes
    }

    private var agreed: NetworkFeatures { NetworkFeatures(rawValue: link.agreed) }
}

// MARK: Threads

extension NetworkDevice {
    /// Moves frames to the guest until the run ends. On a thread of its own.
    func receive(_ control: Worker.Control) {
        var receiver = NetworkReceiver(backend, counts)
        receive(control, by: &receiver)
    }

    /// The same with what a caller keeps.
    func receive(_ control: Worker.Control, by receiver: inout NetworkReceiver) {
        var offloads = NetworkOffloads()
        var progress = NetworkReceiver.Progress.waitsForBuffers
        while true {
            let frames = progress == .waitsForFrames ? backend.descriptor : -1
            switch bells.receiving.wait(until: nil, or: control.descriptor, or: frames) {
            case .ringing: bells.receiving.silence()
            case .thirdReady: break
            case .otherReadable, .timeIsUp: return
            }
            if progress == .isClosed { continue }
            setOffloads(&offloads)
            progress = .goesOn
            while progress == .goesOn {
                guard !isEnding() else { return }
                progress =
                    link.withQueue(Queue.receiving) { queue throws(VirtqueueFault) in
                        try receiver.fill(&queue, agreed: agreed, link.activity)
                    } ?? .waitsForBuffers
            }
            if progress == .isClosed {
                link.changeConfiguration { $0 = Self.configuration(backend, address, isConnected: false) }
            }
        }
    }

    /// Tells an interface what the driver takes.
    private func setOffloads(_ known: inout NetworkOffloads) {
        guard case .tap(let tap) = backend, tap.hasOffloads, agreed.taken != known else { return }
        known = agreed.taken
        tap.setOffloads(known)
    }

    /// Moves frames from the guest until the run ends. On a thread of its own.
    func send(_ control: Worker.Control) {
        var transmitter = NetworkTransmitter(backend, counts)
        send(control, by: &transmitter)
    }

    /// The same with what a caller keeps.
    func send(_ control: Worker.Control, by transmitter: inout NetworkTransmitter) {
        var isBlocked = false
        while true {
            let room = isBlocked ? backend.descriptor : -1
            switch bells.sending.wait(until: nil, or: control.descriptor, or: room, isWritten: true) {
            case .ringing: bells.sending.silence()
            case .thirdReady: break
            case .otherReadable, .timeIsUp: return
            }
            var progress = NetworkTransmitter.Progress.goesOn
            while progress == .goesOn {
                guard !isEnding() else { return }
                progress =
                    link.withQueue(Queue.sending) { queue throws(VirtqueueFault) in
                        try transmitter.empty(&queue, agreed: agreed, link.activity)
                    } ?? .isDone
            }
            isBlocked = !transmitter.finish() || progress == .isBlocked
        }
    }
}

/// The frames of a network device. They are counted by its threads, and read at any time.
package final class NetworkCounts: Sendable {
    private let sent = Atomic<UInt64>(0)
    private let received = Atomic<UInt64>(0)
    private let dropped = Atomic<UInt64>(0)

    /// Those that the guest has sent.
    package var framesFromGuest: UInt64 { sent.load(ordering: .relaxed) }
    /// Those that the guest was given.
    package var framesToGuest: UInt64 { received.load(ordering: .relaxed) }
    /// Those of both directions that went nowhere: that asked for what was not agreed upon, had an impossible size, or were
    /// refused by the other side.
    package var framesDropped: UInt64 { dropped.load(ordering: .relaxed) }

    func noteFromGuest() { sent.wrappingAdd(1, ordering: .relaxed) }
    func noteToGuest() { received.wrappingAdd(1, ordering: .relaxed) }
    func noteDropped() { dropped.wrappingAdd(1, ordering: .relaxed) }
}

/// A network interface for the guest, by virtio.
public struct VirtioNetwork: Component {
    private let backend: NetworkBackend
    private let address: MACAddress

    /// An interface.
    ///
    /// - Parameters:
    ///   - backend: Where frames go and come from.
    ///   - address: The guest's; by default one that is locally administered: for a TAP interface made of its name.
    public init(_ backend: NetworkBackend, address: MACAddress? = nil) {
        self.backend = backend
        self.address = address ?? backend.address
    }

    public func attach(to attachments: inout Attachments) throws {
        let number = attachments.virtioCount(of: Self.name)
        let bells = try NetworkDevice.Bells()
        let isEnding = attachments.machine.isEnding
        let device = try attachments.virtio(
            named: "\(Self.name) \(number)", queueSizes: NetworkDevice.queueSizes,
            configuration: NetworkDevice.configuration(backend, address), bells: bells.all
        ) { link in
            NetworkDevice(backend, address: address, link, bells: bells, isEnding: isEnding)
        }
        attachments.virtioDevices[attachments.virtioDevices.count - 1].counts = device.counts
        attachments.worker(named: "net \(number) in") { device.receive($0) }
        attachments.worker(named: "net \(number) out") { device.send($0) }
    }

    private static let name = "virtio net"
}
