import Host
package import Memory
import Synchronization

/// Four ports that keep what is written to them, by bytes, words or long words.
///
/// State is one atomic word; a write of a part is one exchange.
package final class TestLatch: PortIODevice {
    package static var widestPortAccess: AccessWidth { .long }

    private let value = Atomic<UInt32>(0)

    package init() {}

    /// Where the bytes of an access stand in the word, and which of its bits they are.
    private static func place(_ offset: UInt16, _ width: AccessWidth) -> (shift: UInt32, mask: UInt32) {
        let shift = UInt32(offset & 3) * 8
        return (shift, UInt32(truncatingIfNeeded: width.allOnes) << shift)
    }

    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        let (shift, mask) = Self.place(offset, width)
        return (value.load(ordering: .relaxed) & mask) >> shift
    }

    package func writePort(_ offset: UInt16, width: AccessWidth, value new: UInt32) {
        let (shift, mask) = Self.place(offset, width)
        var old = value.load(ordering: .relaxed)
        while true {
            let result = value.weakCompareExchange(
                expected: old, desired: old & ~mask | (new << shift) & mask, ordering: .relaxed)
            if result.exchanged { return }
            old = result.original
        }
    }
}

/// A port to which a guest writes a physical address, whose page the host then takes away and gives back: KVM forgets
/// how it has mapped it.
///
/// It has no state.
package final class PageFlushPort: PortIODevice {
    package static var widestPortAccess: AccessWidth { .long }

    private let memory: GuestMemory

    package init(_ memory: GuestMemory) {
        self.memory = memory
    }

    /// Reads as 0.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { 0 }

    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        memory.protectAnew(pageOf: GuestPhysicalAddress(UInt64(value)))
    }
}

/// A port for each interrupt line: 0 lowers it, anything else raises it.
///
/// It has no state. The closure is called on the thread of the vCPU that writes.
package final class InterruptLinePorts: PortIODevice {
    private let setLevel: @Sendable (_ line: UInt32, _ isHigh: Bool) -> Void

    package init(setLevel: @escaping @Sendable (_ line: UInt32, _ isHigh: Bool) -> Void) {
        self.setLevel = setLevel
    }

    /// Reads as 0.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 { 0 }

    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        setLevel(UInt32(offset), value != 0)
    }
}

/// Addresses that keep what is written to them, but make every access an exit.
///
/// State is kept in order by a lock.
package final class TestMemory: MMIODevice {
    private let bytes: Locked<[UInt8]>

    package init(size: Int) {
        bytes = Locked([UInt8](repeating: 0, count: size))
    }

    package func readMMIO(_ offset: UInt64, width: AccessWidth) -> UInt64 {
        bytes.withLock { bytes in
            var value: UInt64 = 0
            for index in 0..<width.rawValue {
                guard let place = Self.place(offset, index, bytes.count) else { break }
                value |= UInt64(bytes[place]) << UInt64(8 * index)
            }
            return value
        }
    }

    package func writeMMIO(_ offset: UInt64, width: AccessWidth, value: UInt64) {
        bytes.withLock { bytes in
            for index in 0..<width.rawValue {
                guard let place = Self.place(offset, index, bytes.count) else { break }
                bytes[place] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
            }
        }
    }

    /// The place of a byte of an access; nil past the end, where an access may still begin before it.
    private static func place(_ offset: UInt64, _ index: Int, _ count: Int) -> Int? {
        let place = offset &+ UInt64(index)
        return place < UInt64(count) ? Int(place) : nil
    }
}

/// QEMU's pc-testdev, on which the tests of KVM rely: a latch, a way to make KVM forget how a page is mapped, a port for
/// each interrupt line, and addresses of which every access is an exit.
///
/// Source: QEMU, hw/misc/pc-testdev.c.
public struct TestDevice: Component {
    package static let latch: ClosedRange<UInt16> = 0xE0...0xE3
    package static let pageFlush: ClosedRange<UInt16> = 0xE4...0xE7
    package static let lines: ClosedRange<UInt16> = 0x2000...0x2017
    package static let memory = (start: GuestPhysicalAddress(0xff00_0000), size: UInt64(0x1_0000))

    /// The device.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let machine = attachments.machine
        attachments.ports(TestLatch(), named: "test latch", at: Self.latch)
        attachments.ports(PageFlushPort(machine.memory), named: "test page flush", at: Self.pageFlush)
        attachments.ports(
            InterruptLinePorts(setLevel: machine.setInterruptLevel), named: "test interrupt lines", at: Self.lines)
        try attachments.mmio(
            TestMemory(size: Int(Self.memory.size)), named: "test memory", at: Self.memory.start, size: Self.memory.size
        )
    }
}
