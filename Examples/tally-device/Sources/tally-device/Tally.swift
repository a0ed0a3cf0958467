import MiniVMM
import Synchronization

/// A device that adds up what is written to its port. The sum is read in its MMIO range, and an interrupt comes for every
/// third number.
final class Tally: Sendable {
    static let port: UInt16 = 0x300  // Ports 0x300 to 0x31F are the PC's for prototype cards.
    static let registers = GuestPhysicalAddress(0xd0000)  // In the hole where a PC has option ROMs.
    static let registersSize: UInt32 = 0x1000
    static let interrupt: UInt8 = 5

    private let sum = Atomic<UInt32>(0)
    private let count = Atomic<UInt32>(0)
    private let line: InterruptLine

    init(line: InterruptLine) {
        self.line = line
    }
}

extension Tally: PortIODevice {
    static var widestPortAccess: AccessWidth { .long }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        sum.load(ordering: .relaxed)
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        sum.wrappingAdd(value, ordering: .relaxed)
        if count.wrappingAdd(1, ordering: .relaxed).newValue % 3 == 0 { line.pulse() }
    }
}

extension Tally: MMIODevice {
    func readMMIO(_ offset: UInt64, width: AccessWidth) -> UInt64 {
        offset == 0 ? UInt64(sum.load(ordering: .relaxed)) : 0
    }

    func writeMMIO(_ offset: UInt64, width: AccessWidth, value: UInt64) {}
}

/// What attaches a tally to a machine.
struct TallyComponent: Component {
    func attach(to attachments: inout Attachments) throws {
        let tally = Tally(line: try attachments.interruptLine(UInt32(Tally.interrupt), for: "tally"))
        attachments.ports(tally, named: "tally", at: Tally.port...(Tally.port + 3))
        try attachments.mmio(tally, named: "tally", at: Tally.registers, size: UInt64(Tally.registersSize))
        try attachments.describe(
            .device(
                "TALY", identity: "TLY0001",
                resources: [
                    .ports(Tally.port...(Tally.port + 3)),
                    .memory(start: UInt32(Tally.registers.rawValue), size: Tally.registersSize),
                    .interrupt(Tally.interrupt),
                ]))
    }
}
