import CKVM

/// The ports of a machine: which device answers where.
///
/// It is made once, before any vCPU runs, and never changes afterwards, so that looking a port up takes no lock.
public final class PortBus: Sendable {
    /// The devices, as they were attached.
    public let attachments: [PortAttachment]

    /// One entry per port up to the last that a device has: the number of the device in `slots` plus 1, or 0 where there
    /// is none.
    ///
    /// Sound to share between threads: written while the bus is made, only read from then on.
    private nonisolated(unsafe) let table: UnsafeMutablePointer<UInt8>
    /// The number of entries.
    private let tableSize: Int
    /// The devices again, flat in memory, so that a look-up counts no references.
    ///
    /// Sound to share between threads: as `table`. The handlers are kept alive by `attachments`.
    private nonisolated(unsafe) let slots: UnsafeMutablePointer<Slot>

    private struct Slot {
        let firstPort: UInt16
        /// Bytes: a number, because comparing two widths looks both up in tables.
        let widestAccess: Int
        let handler: Unmanaged<PortHandler>
    }

    private static let greatestDeviceCount = Int(UInt8.max)

    /// Makes the bus.
    ///
    /// - Throws: ``BusError`` when two devices want the same port, or there are more than 255.
    public init(_ attachments: [PortAttachment]) throws(BusError) {
        guard attachments.count <= Self.greatestDeviceCount else { throw .tooManyDevices }
        for (index, attachment) in attachments.enumerated() {
            for other in attachments[..<index] where other.ports.overlaps(attachment.ports) {
                throw .overlap(attachment.name, other.name)
            }
        }
        self.attachments = attachments
        tableSize = attachments.reduce(1) { max($0, Int($1.ports.upperBound) + 1) }
        table = zeroedMemory(of: UInt8.self, count: tableSize)
        slots = .allocate(capacity: max(1, attachments.count))
        for (index, attachment) in attachments.enumerated() {
            let slot = Slot(
                firstPort: attachment.ports.lowerBound,
                widestAccess: attachment.widestAccess.rawValue,
                handler: .passUnretained(attachment.handler)
            )
            (slots + index).initialize(to: slot)
            for port in attachment.ports { table[Int(port)] = UInt8(index + 1) }
        }
    }

    deinit {
        free(table)
        slots.deallocate()
    }

    /// The device at a port, if there is one.
    @inline(__always)
    private func slot(_ port: UInt16) -> UnsafeMutablePointer<Slot>? {
        guard Int(port) < tableSize else { return nil }
        // Sound: every entry but 0 is the number of a slot plus 1.
        let number = table[Int(port)]
        return number == 0 ? nil : slots + Int(number &- 1)
    }

    /// Reads from a port.
    ///
    /// - Returns: The value, or nil when nobody claims the port.
    @inline(__always)
    func read(_ port: UInt16, _ width: AccessWidth) -> UInt32? {
        guard let slot = slot(port) else { return nil }
        guard width.rawValue <= slot.pointee.widestAccess else { return readParts(port, width, slot.pointee) }
        // Sound: the handler lives as long as `attachments`, that is as long as this object.
        return slot.pointee.handler._withUnsafeGuaranteedRef { $0.read(port &- slot.pointee.firstPort, width) }
    }

    /// Reads as many bytes as the device understands at a time.
    @inline(never)
    private func readParts(_ port: UInt16, _ width: AccessWidth, _ slot: Slot) -> UInt32 {
        guard let widest = AccessWidth(rawValue: slot.widestAccess) else { return .max }
        var value: UInt32 = 0
        var shift: UInt32 = 0
        for step in 0..<(width.rawValue / widest.rawValue) {
            let part = port &+ UInt16(truncatingIfNeeded: step &* widest.rawValue)
            let read = read(part, widest) ?? UInt32(truncatingIfNeeded: widest.allOnes)
            value |= (read & UInt32(truncatingIfNeeded: widest.allOnes)) << shift
            shift &+= UInt32(truncatingIfNeeded: 8 &* widest.rawValue)
        }
        return value
    }

    /// Writes to a port.
    ///
    /// - Returns: Whether somebody claims the port.
    @inline(__always)
    func write(_ port: UInt16, _ width: AccessWidth, _ value: UInt32) -> Bool {
        guard let slot = slot(port) else { return false }
        guard width.rawValue <= slot.pointee.widestAccess else {
            writeParts(port, width, value, slot.pointee)
            return true
        }
        // Sound: as for reads.
        slot.pointee.handler._withUnsafeGuaranteedRef { $0.write(port &- slot.pointee.firstPort, width, value) }
        return true
    }

    /// Writes as many bytes as the device understands at a time.
    @inline(never)
    private func writeParts(_ port: UInt16, _ width: AccessWidth, _ value: UInt32, _ slot: Slot) {
        guard let widest = AccessWidth(rawValue: slot.widestAccess) else { return }
        var rest = value
        for step in 0..<(width.rawValue / widest.rawValue) {
            let part = port &+ UInt16(truncatingIfNeeded: step &* widest.rawValue)
            _ = write(part, widest, rest & UInt32(truncatingIfNeeded: widest.allOnes))
            rest = rest >> UInt32(truncatingIfNeeded: 8 &* widest.rawValue)
        }
    }
}
