import Host
package import Memory

/// The page registers of a PC's DMA controllers: for each channel the bits of an address above those that the controller
/// itself has. Firmware tests memory by them, and drivers set them before they start a transfer.
///
/// They are a register file of its own on the board, and keep what is written to them, those of no channel too. No
/// device here transfers anything by DMA.
///
/// Source: IBM Personal Computer AT Technical Reference, "DMA page registers".
///
/// State is kept in order by a lock.
package final class DMAPageRegisters: PortIODevice {
    private let bytes: Locked<[UInt8]>

    /// Makes registers that hold 0.
    ///
    /// - Parameter count: How many; the first has offset 0.
    package init(count: Int) {
        bytes = Locked([UInt8](repeating: 0, count: count))
    }

    /// Reads what was written last.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        bytes.withLock { bytes in
            Int(offset) < bytes.count ? UInt32(bytes[Int(offset)]) : UInt32(truncatingIfNeeded: width.allOnes)
        }
    }

    /// Writes a page.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        bytes.withLock { bytes in
            guard Int(offset) < bytes.count else { return }
            bytes[Int(offset)] = UInt8(truncatingIfNeeded: value)
        }
    }
}

/// The page registers where a PC has them; the port before them takes the codes of a power-on self-test.
public struct DMAPages: Component {
    package static let ports: ClosedRange<UInt16> = 0x81...0x8F

    /// The registers.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        attachments.ports(DMAPageRegisters(count: Self.ports.count), named: "DMA pages", at: Self.ports)
    }
}
