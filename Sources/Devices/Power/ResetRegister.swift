package import Memory
import Synchronization

/// A register of one port that keeps what is written to it, and resets the processors when one of its bits goes from 0
/// to 1.
///
/// State is one atomic byte. The closure is called on the thread of the vCPU that resets.
package final class ResetRegister: PortIODevice {
    private let resetBit: UInt8
    private let writable: UInt8
    private let fixed: UInt8
    private let value: Atomic<UInt8>
    private let reset: @Sendable () -> Void

    /// Makes a register.
    ///
    /// - Parameters:
    ///   - resetBit: The bit that resets.
    ///   - writable: The bits that keep what is written to them; the others read as zeros.
    ///   - fixed: The bits that read as ones whatever is written.
    ///   - reset: Called when the guest asks for a reset.
    package init(resetBit: UInt8, writable: UInt8, fixed: UInt8 = 0, reset: @escaping @Sendable () -> Void) {
        self.resetBit = resetBit
        self.writable = writable
        self.fixed = fixed
        self.reset = reset
        value = Atomic(fixed)
    }

    /// Reads what was written last.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        UInt32(value.load(ordering: .relaxed))
    }

    /// Writes the register, and resets if the bit for it rises.
    package func writePort(_ offset: UInt16, width: AccessWidth, value new: UInt32) {
        let new = UInt8(truncatingIfNeeded: new) & writable | fixed
        let old = value.exchange(new, ordering: .relaxed)
        if new & ~old & resetBit != 0 { reset() }
    }
}

/// The reset control register of PC chipsets, which ACPI names as the machine's reset register.
///
/// One port: bit 2 resets the processors when it goes from 0 to 1; bit 1 chooses a hard reset, and bit 3 a power cycle,
/// which make no difference here.
///
/// Source: Intel 82371 (PIIX3) data sheet, "RC - Reset Control Register"; bit 3 from Intel ICH data sheets.
public struct ResetControl: Component {
    /// Where a PC has it.
    package static let port: UInt16 = 0xCF9
    /// What a guest writes for a hard reset, as the FADT tells it.
    package static let hardReset: UInt8 = 0x06

    private static let resetProcessors: UInt8 = 0x04
    private static let writable: UInt8 = 0x0E

    /// The register.
    public init() {}

    /// The device.
    package static func register(reset: @escaping @Sendable () -> Void) -> ResetRegister {
        ResetRegister(resetBit: resetProcessors, writable: writable, reset: reset)
    }

    public func attach(to attachments: inout Attachments) throws {
        let end = attachments.machine.end
        attachments.ports(Self.register { end(.reset) }, named: "reset control", at: Self.port...Self.port)
        attachments.description.resetRegister = .init(port: Self.port, value: Self.hardReset)
    }
}

/// System control port A of a PS/2 and of every PC since: the fast ways to open the A20 gate and to reset.
///
/// One port: bit 0 resets the processors when it goes from 0 to 1, and bit 1 opens the A20 gate. The gate is always
/// open here, so bit 1 reads as one whatever was written; the other bits keep what is written to them.
///
/// Source: IBM PS/2 Hardware Interface Technical Reference, "System Control Port A (Hex 0092)".
public struct SystemControl: Component {
    /// Where a PC has it.
    package static let port: UInt16 = 0x92

    private static let fastReset: UInt8 = 0x01
    private static let a20Gate: UInt8 = 0x02

    /// The port.
    public init() {}

    /// The device.
    package static func register(reset: @escaping @Sendable () -> Void) -> ResetRegister {
        ResetRegister(resetBit: fastReset, writable: .max, fixed: a20Gate, reset: reset)
    }

    public func attach(to attachments: inout Attachments) throws {
        let end = attachments.machine.end
        attachments.ports(Self.register { end(.reset) }, named: "system control", at: Self.port...Self.port)
    }
}
