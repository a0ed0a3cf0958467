public import Memory

/// The physical addresses without memory: which device answers where.
///
/// Like ``PortBus`` it never changes once it is made. A machine has a handful of such devices, so the look-up is a
/// scan.
public final class MMIOBus: Sendable {
    /// The devices, as they were attached.
    public let attachments: [MMIOAttachment]

    /// Makes the bus.
    ///
    /// - Throws: ``BusError`` when two devices want the same address.
    public init(_ attachments: [MMIOAttachment]) throws(BusError) {
        for (index, attachment) in attachments.enumerated() {
            for other in attachments[..<index]
            where other.contains(attachment.start.rawValue) || attachment.contains(other.start.rawValue) {
                throw .overlap(attachment.name, other.name)
            }
        }
        self.attachments = attachments
    }

    /// Reads from an address.
    ///
    /// - Returns: The value, or nil when nobody claims the address.
    @inlinable
    @inline(__always)
    package func read(_ address: GuestPhysicalAddress, _ width: AccessWidth) -> UInt64? {
        for attachment in attachments where attachment.contains(address.rawValue) {
            return attachment.handler.read(address.rawValue &- attachment.start.rawValue, width)
        }
        return nil
    }

    /// Writes to an address.
    ///
    /// - Returns: Whether somebody claims the address.
    @inlinable
    @inline(__always)
    package func write(_ address: GuestPhysicalAddress, _ width: AccessWidth, _ value: UInt64) -> Bool {
        for attachment in attachments where attachment.contains(address.rawValue) {
            attachment.handler.write(address.rawValue &- attachment.start.rawValue, width, value)
            return true
        }
        return false
    }
}

/// A device and the physical addresses where a guest finds it.
public struct MMIOAttachment: Sendable {
    /// What the report calls the device.
    public let name: String
    /// The device's first address.
    public let start: GuestPhysicalAddress
    /// The bytes of the device's range.
    public let size: UInt64

    @usableFromInline
    package let handler: MMIOHandler

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
    @inlinable
    package func contains(_ address: UInt64) -> Bool {
        // Wraps below the start to a large number, which is not less than any size.
        address &- start.rawValue < size
    }
}

/// A device of whatever type behind one virtual call, without the existential that `any MMIODevice` would be.
@usableFromInline
package class MMIOHandler: @unchecked Sendable {
    // Sound to call Sendable: neither this class nor its only subclass has state that changes.

    @usableFromInline
    package func read(_ offset: UInt64, _ width: AccessWidth) -> UInt64 { .max }
    @usableFromInline
    package func write(_ offset: UInt64, _ width: AccessWidth, _ value: UInt64) {}
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

/// A device that a guest reaches by accesses to physical addresses without memory.
///
/// What ``PortIODevice`` says of threads and of the machine holds here too.
public protocol MMIODevice: AnyObject, Sendable {
    /// Answers a read of `width` bytes.
    ///
    /// - Parameters:
    ///   - offset: The address, counted from the first of the device's range.
    ///   - width: How many bytes are read.
    func readMMIO(_ offset: UInt64, width: AccessWidth) -> UInt64

    /// Takes a write of `width` bytes.
    ///
    /// - Parameters:
    ///   - offset: The address, counted from the first of the device's range.
    ///   - width: How many bytes are written.
    ///   - value: The value, in the low bytes; the others are 0.
    func writeMMIO(_ offset: UInt64, width: AccessWidth, value: UInt64)
}
