public import Memory

/// The physical addresses without memory: which device answers where.
///
/// Like ``PortBus`` it never changes once it is made. A machine has a handful of such devices, so the look-up is a
/// scan.
// Safe to use: the slots are allocated with the bus and never change; they are followed up to their number.
@safe
public final class MMIOBus: Sendable {
    /// The devices, as they were attached.
    public let attachments: [MMIOAttachment]

    /// The devices again, flat in memory, so that a look-up counts no references.
    ///
    /// Sound to share between threads: written while the bus is made, only read from then on. The handlers are kept
    /// alive by `attachments`.
    @usableFromInline nonisolated(unsafe) let slots: UnsafeMutablePointer<Slot>
    /// The number of devices.
    @usableFromInline let slotCount: Int

    @usableFromInline
    // Safe to use: the bus keeps the handlers alive.
    @safe
    struct Slot {
        @usableFromInline let start: UInt64
        @usableFromInline let size: UInt64
        @usableFromInline let handler: Unmanaged<MMIOHandler>
    }

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
        slotCount = attachments.count
        unsafe slots = .allocate(capacity: max(1, attachments.count))
        for (index, attachment) in attachments.enumerated() {
            let slot = unsafe Slot(
                start: attachment.start.rawValue, size: attachment.size, handler: .passUnretained(attachment.handler))
            unsafe (slots + index).initialize(to: slot)
        }
    }

    deinit {
        unsafe slots.deallocate()
    }

    /// The device at an address, if there is one.
    @inlinable
    @inline(__always)
    func slot(_ address: GuestPhysicalAddress) -> UnsafeMutablePointer<Slot>? {
        var index = 0
        while index < slotCount {
            // Sound: there are `slotCount` of them.
            let slot = unsafe slots + index
            // Wraps below the start to a large number, which is not less than any size.
            if unsafe address.rawValue &- slot.pointee.start < slot.pointee.size { return unsafe slot }
            index &+= 1
        }
        return nil
    }

    /// Reads from an address.
    ///
    /// - Returns: The value, or nil when nobody claims the address.
    @inlinable
    @inline(__always)
    package func read(_ address: GuestPhysicalAddress, _ width: AccessWidth) -> UInt64? {
        guard let slot = unsafe slot(address) else { return nil }
        // Sound: as on the port bus.
        return unsafe slot.pointee.handler._withUnsafeGuaranteedRef {
            unsafe $0.read(address.rawValue &- slot.pointee.start, width)
        }
    }

    /// Writes to an address.
    ///
    /// - Returns: Whether somebody claims the address.
    @inlinable
    @inline(__always)
    package func write(_ address: GuestPhysicalAddress, _ width: AccessWidth, _ value: UInt64) -> Bool {
        guard let slot = unsafe slot(address) else { return false }
        // Sound: as on the port bus.
        unsafe slot.pointee.handler._withUnsafeGuaranteedRef {
            unsafe $0.write(address.rawValue &- slot.pointee.start, width, value)
        }
        return true
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
    public init(
        _ device: some MMIODevice,
        named name: String,
        at start: GuestPhysicalAddress,
        size: UInt64
    ) {
        self.name = name
        self.start = start
        self.size = size
        handler = MMIOHandler(device)
    }

    /// Whether an address lies in the device's range.
    @inlinable
    package func contains(_ address: UInt64) -> Bool {
        // Wraps below the start to a large number, which is not less than any size.
        address &- start.rawValue < size
    }
}

/// A device of whatever type behind one call, for the reasons that ``PortHandler`` gives.
@usableFromInline
package final class MMIOHandler: Sendable {
    @usableFromInline let read: @Sendable (_ offset: UInt64, _ width: AccessWidth) -> UInt64
    @usableFromInline let write: @Sendable (_ offset: UInt64, _ width: AccessWidth, _ value: UInt64) -> Void

    init(_ device: some MMIODevice) {
        read = { device.readMMIO($0, width: $1) }
        write = { device.writeMMIO($0, width: $1, value: $2) }
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
