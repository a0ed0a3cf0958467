/// What a virtio device of a machine has done.
public struct DeviceActivity: Hashable, Sendable {
    /// What the device is.
    public let kind: Kind
    /// What the device is called.
    public let name: String
    /// The exits by which the guest has accessed its registers, notifications among them unless KVM carries those.
    public let exits: UInt64
    /// Whether KVM carries the guest's notifications to the device: they are then exits that KVM settles.
    public let isNotifiedByKernel: Bool
    /// The requests that it has served.
    public let requests: UInt64
    /// The bytes that the guest has handed over in requests.
    public let bytesFromGuest: UInt64
    /// The bytes that the guest was given in requests.
    public let bytesToGuest: UInt64
    /// The interrupts that it has raised.
    public let interrupts: UInt64
    /// Whether its driver has done something that is against the specification.
    public let hasFailed: Bool
    /// The frames of a network device; nil for another.
    public let frames: FrameCounts?

    /// What a device can be.
    public enum Kind: Hashable, Sendable {
        case console
        case disk
        case network
        case share
        case entropy
    }

    /// The frames of a network device.
    public struct FrameCounts: Hashable, Sendable {
        /// Those that the guest has sent.
        public let fromGuest: UInt64
        /// Those that the guest was given.
        public let toGuest: UInt64
        /// Those of both directions that went nowhere.
        public let dropped: UInt64

        /// The given values.
        package init(fromGuest: UInt64, toGuest: UInt64, dropped: UInt64) {
            self.fromGuest = fromGuest
            self.toGuest = toGuest
            self.dropped = dropped
        }
    }

    /// The given values.
    package init(
        _ kind: Kind, name: String, exits: UInt64, isNotifiedByKernel: Bool, requests: UInt64, bytesFromGuest: UInt64,
        bytesToGuest: UInt64, interrupts: UInt64, hasFailed: Bool = false, frames: FrameCounts? = nil
    ) {
        self.kind = kind
        self.name = name
        self.exits = exits
        self.isNotifiedByKernel = isNotifiedByKernel
        self.requests = requests
        self.bytesFromGuest = bytesFromGuest
        self.bytesToGuest = bytesToGuest
        self.interrupts = interrupts
        self.hasFailed = hasFailed
        self.frames = frames
    }
}
