/// A console of one port: a byte written is a byte printed. Nothing can be read from it but that it is there.
///
/// Source: the Bochs User Manual, "port_e9_hack".
///
/// It has no state. The closure is called on the vCPU's thread.
public final class DebugConsole: PortIODevice {
    /// What reads give, so that a guest can tell the console from an empty port.
    public static let presence: UInt8 = 0xE9

    private let transmit: @Sendable (UInt8) -> Void

    /// Makes a console.
    ///
    /// - Parameter transmit: Takes each byte; while it waits the guest does.
    public init(transmit: @escaping @Sendable (UInt8) -> Void) {
        self.transmit = transmit
    }

    /// Reads ``presence``.
    public func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(Self.presence)
    }

    /// Prints a byte.
    public func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        transmit(UInt8(truncatingIfNeeded: value))
    }
}
