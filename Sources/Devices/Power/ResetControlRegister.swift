package import Memory
import Synchronization

/// The reset control register of PC chipsets, which ACPI names as the machine's reset register.
///
/// One port: bit 2 resets the processors when it goes from 0 to 1; bit 1 chooses a hard reset, and bit 3 a power cycle,
/// which make no difference here.
///
/// Source: Intel 82371 (PIIX3) data sheet, "RC - Reset Control Register"; bit 3 from Intel ICH data sheets.
///
/// State is one atomic byte. The closure is called on the thread of the vCPU that resets.
package final class ResetControlRegister: PortIODevice {
    /// What a guest writes for a hard reset, as the FADT tells it.
    package static let hardReset: UInt8 = 0x06

    private static let resetProcessors: UInt8 = 0x04
    private static let writable: UInt8 = 0x0E

    private let value = Atomic<UInt8>(0)
    private let reset: @Sendable () -> Void

    /// Makes a register.
    ///
    /// - Parameter reset: Called when the guest asks for a reset.
    package init(reset: @escaping @Sendable () -> Void) {
        self.reset = reset
    }

    /// Reads what was written last.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(value.load(ordering: .relaxed))
    }

    /// Writes the register, and resets if bit 2 rises.
    package func writePort(_ offset: UInt16, width: AccessWidth, value new: UInt32) {
        let new = UInt8(truncatingIfNeeded: new) & Self.writable
        let old = value.exchange(new, ordering: .relaxed)
        if new & ~old & Self.resetProcessors != 0 { reset() }
    }
}

/// The reset control register, by which ACPI has guests reset the machine.
public struct ResetControl: Component {
    /// Source: Intel 82371 (PIIX3) data sheet, "RC - Reset Control Register".
    package static let port: UInt16 = 0xCF9

    /// The register.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let end = attachments.machine.end
        attachments.ports(
            ResetControlRegister { end(.reset) }, named: "reset control", at: Self.port...Self.port)
        attachments.description.resetRegister = .init(port: Self.port, value: ResetControlRegister.hardReset)
    }
}
