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
    @inline(__always)
    func read(_ address: GuestPhysicalAddress, _ width: AccessWidth) -> UInt64? {
        for attachment in attachments where attachment.contains(address.rawValue) {
            return attachment.handler.read(address.rawValue &- attachment.start.rawValue, width)
        }
        return nil
    }

    /// Writes to an address.
    ///
    /// - Returns: Whether somebody claims the address.
    @inline(__always)
    func write(_ address: GuestPhysicalAddress, _ width: AccessWidth, _ value: UInt64) -> Bool {
        for attachment in attachments where attachment.contains(address.rawValue) {
            attachment.handler.write(address.rawValue &- attachment.start.rawValue, width, value)
            return true
        }
        return false
    }
}
