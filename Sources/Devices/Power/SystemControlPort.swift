package import Memory
import Synchronization

/// System control port A of a PS/2 and of every PC since: the fast ways to open the A20 gate and to reset.
///
/// One port: bit 0 resets the processors when it goes from 0 to 1, and bit 1 opens the A20 gate. The gate is always
/// open here, so bit 1 reads as one whatever was written; the other bits keep what is written to them.
///
/// Source: IBM PS/2 Hardware Interface Technical Reference, "System Control Port A (Hex 0092)".
///
/// State is one atomic byte. The closure is called on the thread of the vCPU that resets.
package final class SystemControlPort: PortIODevice {
    private static let fastReset: UInt8 = 0x01
    private static let a20Gate: UInt8 = 0x02

    private let value = Atomic<UInt8>(SystemControlPort.a20Gate)
    private let reset: @Sendable () -> Void

    /// Makes a port.
    ///
    /// - Parameter reset: Called when the guest asks for a reset.
    package init(reset: @escaping @Sendable () -> Void) {
        self.reset = reset
    }

    /// Reads what was written last, with the A20 gate open.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(value.load(ordering: .relaxed))
    }

    /// Writes the port, and resets if bit 0 rises.
    package func writePort(_ offset: UInt16, width: AccessWidth, value new: UInt32) {
        let new = UInt8(truncatingIfNeeded: new) | Self.a20Gate
        let old = value.exchange(new, ordering: .relaxed)
        if new & ~old & Self.fastReset != 0 { reset() }
    }
}

/// System control port A.
public struct SystemControl: Component {
    /// Where a PC has it.
    package static let port: UInt16 = 0x92

    /// The port.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let end = attachments.machine.end
        attachments.ports(SystemControlPort { end(.reset) }, named: "system control", at: Self.port...Self.port)
    }
}
