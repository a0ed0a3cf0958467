import Host
package import Memory

/// The device by which QEMU tells firmware and test programs of their machine, fw_cfg: what it is made of, item by item.
///
/// Two ports: a word written to the first chooses an item by its key, and each byte read is the next of that item. An
/// item that there is not, and what lies behind the end of one, reads as zeros. There is no DMA interface.
///
/// Source: QEMU, docs/specs/fw_cfg.rst; the keys from include/standard-headers/linux/qemu_fw_cfg.h.
///
/// State is kept in order by a lock.
package final class FirmwareConfigurationPorts: PortIODevice {
    /// A word is one write, and chooses an item.
    package static var widestPortAccess: AccessWidth { .word }

    private struct State {
        var item: [UInt8]
        var position = 0
    }

    /// What the machine is made of: few items, each with its key.
    private let items: [Item]
    private let state: Locked<State>

    /// What there is to be read for a key.
    package struct Item: Sendable {
        let key: UInt16
        let bytes: [UInt8]

        package init(_ key: UInt16, _ bytes: [UInt8]) {
            self.key = key
            self.bytes = bytes
        }
    }

    /// Makes the device, with the signature chosen.
    package init(_ items: [Item]) {
        self.items = items
        state = Locked(State(item: Self.item(FirmwareConfiguration.Key.signature, of: items)))
    }

    private static func item(_ key: UInt16, of items: [Item]) -> [UInt8] {
        items.first { $0.key == key }?.bytes ?? []
    }

    /// Reads the next byte, at either port. A word is none.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        guard width == .byte else { return UInt32(truncatingIfNeeded: width.allOnes) }
        return state.withLock { state in
            guard state.position < state.item.count else { return 0 }
            defer { state.position += 1 }
            return UInt32(state.item[state.position])
        }
    }

    /// Chooses an item by a word written to the first port. Items cannot be written.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        guard offset == 0, width == .word else { return }
        let item = Self.item(UInt16(truncatingIfNeeded: value), of: items)
        state.withLock { $0 = State(item: item) }
    }
}

/// QEMU's fw_cfg with what test programs ask it for: how many vCPUs there are, and how much memory.
public struct FirmwareConfiguration: Component {
    /// Where QEMU has it on a PC: selector and data.
    package static let ports: ClosedRange<UInt16> = 0x510...0x511

    package enum Key {
        package static let signature: UInt16 = 0x00
        static let interfaces: UInt16 = 0x01
        package static let memorySize: UInt16 = 0x03
        static let hasNoDisplay: UInt16 = 0x04
        package static let cpuCount: UInt16 = 0x05
        static let maximumCPUCount: UInt16 = 0x0f
        static let files: UInt16 = 0x19
    }

    /// The interface by ports, and no DMA.
    private static let onlyPorts: UInt8 = 0x01

    /// The device.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let machine = attachments.machine
        let (low, high) = machine.memorySizes
        let count = Self.bytes(UInt64(machine.cpuCount), 2)
        let device = FirmwareConfigurationPorts([
            .init(Key.signature, Array("QEMU".utf8)),
            .init(Key.interfaces, [Self.onlyPorts, 0, 0, 0]),
            .init(Key.memorySize, Self.bytes(low &+ high, 8)),
            .init(Key.hasNoDisplay, [1, 0]),
            .init(Key.cpuCount, count),
            .init(Key.maximumCPUCount, count),
            // An empty list.
            .init(Key.files, [0, 0, 0, 0]),
        ])
        attachments.ports(device, named: "fw_cfg", at: Self.ports)
    }

    /// A number's bytes, the least significant first.
    private static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }
}
