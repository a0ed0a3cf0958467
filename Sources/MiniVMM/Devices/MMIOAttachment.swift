/// A device and the physical addresses where a guest finds it.
public struct MMIOAttachment: Sendable {
    /// What the report calls the device.
    public let name: String
    /// The device's first address.
    public let start: GuestPhysicalAddress
    /// The bytes of the device's range.
    public let size: UInt64

    let handler: MMIOHandler

    /// Puts a device at a range of physical addresses.
    public init<Device: MMIODevice>(
        _ device: Device,
        named name: String,
        at start: GuestPhysicalAddress,
        size: UInt64
    ) {
        self.name = name
        self.start = start
        self.size = size
        handler = DeviceMMIOHandler(device)
    }

    /// Whether an address lies in the device's range.
    func contains(_ address: UInt64) -> Bool {
        // Wraps below the start to a large number, which is not less than any size.
        address &- start.rawValue < size
    }
}

/// A device of whatever type behind one virtual call, without the existential that `any MMIODevice` would be.
class MMIOHandler: @unchecked Sendable {
    // Sound to call Sendable: neither this class nor its only subclass has state that changes.

    func read(_ offset: UInt64, _ width: AccessWidth) -> UInt64 { .max }
    func write(_ offset: UInt64, _ width: AccessWidth, _ value: UInt64) {}
}

/// The device itself.
private final class DeviceMMIOHandler<Device: MMIODevice>: MMIOHandler, @unchecked Sendable {
    private let device: Device

    init(_ device: Device) {
        self.device = device
    }

    override func read(_ offset: UInt64, _ width: AccessWidth) -> UInt64 {
        device.readMMIO(offset, width: width)
    }

    override func write(_ offset: UInt64, _ width: AccessWidth, _ value: UInt64) {
        device.writeMMIO(offset, width: width, value: value)
    }
}
