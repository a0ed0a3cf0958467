import CKVM
public import Host
public import Memory

/// The ports of a machine: which device answers where.
///
/// It is made once, before any vCPU runs, and never changes afterwards, so that looking a port up takes no lock.
// Safe to use: both tables are allocated with the bus and never change; every index is compared with their sizes.
@safe
public final class PortBus: Sendable {
    /// The devices, as they were attached.
    public let attachments: [PortAttachment]

    /// One entry per port up to the last that a device has: the number of the device in `slots` plus 1, or 0 where there
    /// is none.
    ///
    /// Sound to share between threads: written while the bus is made, only read from then on.
    @usableFromInline nonisolated(unsafe) let table: UnsafeMutablePointer<UInt8>
    /// The number of entries.
    @usableFromInline let tableSize: Int
    /// The devices again, flat in memory, so that a look-up counts no references.
    ///
    /// Sound to share between threads: as `table`. The handlers are kept alive by `attachments`.
    @usableFromInline nonisolated(unsafe) let slots: UnsafeMutablePointer<Slot>

    @usableFromInline
    // Safe to use: the bus keeps the handlers alive.
    @safe
    struct Slot {
        @usableFromInline let firstPort: UInt16
        /// Bytes: a number, because comparing two widths looks both up in tables.
        @usableFromInline let widestAccess: Int
        @usableFromInline let handler: Unmanaged<PortHandler>
    }

    private static let maximumDeviceCount = Int(UInt8.max)

    /// Makes the bus.
    ///
    /// - Throws: ``BusError`` when two devices want the same port, or there are more than 255.
    public init(_ attachments: [PortAttachment]) throws {
        guard attachments.count <= Self.maximumDeviceCount else { throw BusError.tooManyDevices }
        for (index, attachment) in attachments.enumerated() {
            for other in attachments[..<index] where other.ports.overlaps(attachment.ports) {
                throw BusError.overlap(attachment.name, other.name)
            }
        }
        self.attachments = attachments
        tableSize = attachments.reduce(1) { max($0, Int($1.ports.upperBound) + 1) }
        unsafe table = try unsafe zeroedMemory(of: UInt8.self, count: tableSize)
        unsafe slots = .allocate(capacity: max(1, attachments.count))
        for (index, attachment) in attachments.enumerated() {
            let slot = unsafe Slot(
                firstPort: attachment.ports.lowerBound,
                widestAccess: attachment.widestAccess.rawValue,
                handler: .passUnretained(attachment.handler)
            )
            unsafe (slots + index).initialize(to: slot)
            for port in attachment.ports { unsafe table[Int(port)] = UInt8(index + 1) }
        }
    }

    deinit {
        unsafe free(table)
        unsafe slots.deallocate()
    }

    /// The device at a port, if there is one.
    @inlinable
    @inline(__always)
    func slot(_ port: UInt16) -> UnsafeMutablePointer<Slot>? {
        guard Int(port) < tableSize else { return nil }
        // Sound: every entry but 0 is the number of a slot plus 1.
        let number = unsafe table[Int(port)]
        return unsafe number == 0 ? nil : slots + Int(number &- 1)
    }

    /// Reads from a port.
    ///
    /// - Returns: The value, or nil when nobody claims the port.
    @inlinable
    @inline(__always)
    package func read(_ port: UInt16, _ width: AccessWidth) -> UInt32? {
        guard let slot = unsafe slot(port) else { return nil }
        // Every device understands bytes.
        guard unsafe width == .byte || width.rawValue <= slot.pointee.widestAccess else {
            return unsafe readParts(port, width, slot.pointee)
        }
        // Sound: the handler lives as long as `attachments`, that is as long as this object.
        // `_withUnsafeGuaranteedRef`, because `takeUnretainedValue` counts references: 308 instructions an exit, not 255.
        return unsafe slot.pointee.handler._withUnsafeGuaranteedRef {
            unsafe $0.read(port &- slot.pointee.firstPort, width)
        }
    }

    /// Reads as many bytes as the device understands at a time.
    @inline(never)
    @usableFromInline
    func readParts(_ port: UInt16, _ width: AccessWidth, _ slot: Slot) -> UInt32 {
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
    @inlinable
    @inline(__always)
    package func write(_ port: UInt16, _ width: AccessWidth, _ value: UInt32) -> Bool {
        guard let slot = unsafe slot(port) else { return false }
        guard unsafe width == .byte || width.rawValue <= slot.pointee.widestAccess else {
            unsafe writeParts(port, width, value, slot.pointee)
            return true
        }
        // Sound: as for reads.
        unsafe slot.pointee.handler._withUnsafeGuaranteedRef {
            unsafe $0.write(port &- slot.pointee.firstPort, width, value)
        }
        return true
    }

    /// Writes as many bytes as the device understands at a time.
    @inline(never)
    @usableFromInline
    func writeParts(_ port: UInt16, _ width: AccessWidth, _ value: UInt32, _ slot: Slot) {
        guard let widest = AccessWidth(rawValue: slot.widestAccess) else { return }
        var rest = value
        for step in 0..<(width.rawValue / widest.rawValue) {
            let part = port &+ UInt16(truncatingIfNeeded: step &* widest.rawValue)
            _ = write(part, widest, rest & UInt32(truncatingIfNeeded: widest.allOnes))
            rest = rest >> UInt32(truncatingIfNeeded: 8 &* widest.rawValue)
        }
    }
}

/// A device and the ports where a guest finds it.
public struct PortAttachment: Sendable {
    /// What the report calls the device.
    public let name: String
    /// The device's ports.
    public let ports: ClosedRange<UInt16>

    package let handler: PortHandler
    let widestAccess: AccessWidth

    /// Puts a device at a range of ports.
    public init<Device: PortIODevice>(_ device: Device, named name: String, at ports: ClosedRange<UInt16>) {
        self.name = name
        self.ports = ports
        handler = PortHandler(device)
        widestAccess = Device.widestPortAccess
    }
}

/// A device of whatever type behind one call, to code that the compiler makes for that type.
///
/// Not `any PortIODevice`, for which references would be counted at each exit. Nor a class that is generic: from there the
/// device would be one call more, to an address that a processor which has just left the guest cannot predict, some 30 ns;
/// and its metadata would be made for each type of device, at the start of each run.
@usableFromInline
package final class PortHandler: Sendable {
    @usableFromInline let read: @Sendable (_ offset: UInt16, _ width: AccessWidth) -> UInt32
    @usableFromInline let write: @Sendable (_ offset: UInt16, _ width: AccessWidth, _ value: UInt32) -> Void

    init(_ device: some PortIODevice) {
        read = { device.readPort($0, width: $1) }
        write = { device.writePort($0, width: $1, value: $2) }
    }
}

/// A device that a guest reaches by port I/O.
///
/// Calls come from the threads of vCPUs, from several at once when the guest has several: a device says in its own
/// documentation how it keeps its state in order. A device knows nothing of KVM; what it needs of the machine (an
/// interrupt line, a way to end the run) it is given as a closure when it is made.
public protocol PortIODevice: AnyObject, Sendable {
    /// The widest access that the device understands. The bus splits wider ones into several of this width at
    /// consecutive ports, as an ISA bridge does.
    static var widestPortAccess: AccessWidth { get }

    /// Answers a read of `width` bytes.
    ///
    /// - Parameters:
    ///   - offset: The port, counted from the first of the device's range.
    ///   - width: How many bytes are read.
    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32

    /// Takes a write of `width` bytes.
    ///
    /// - Parameters:
    ///   - offset: The port, counted from the first of the device's range.
    ///   - width: How many bytes are written.
    ///   - value: The value, in the low bytes; the others are 0.
    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32)
}

extension PortIODevice {
    public static var widestPortAccess: AccessWidth { .byte }
}

/// What can be wrong with the layout of a machine's devices.
public enum BusError: Error, Hashable, Sendable {
    /// Two devices, by name, want the same port or address.
    case overlap(String, String)
    /// More than 255 devices on one bus.
    case tooManyDevices
    /// The device, by name, would lie over guest memory.
    case overlapsMemory(String)
    /// The device, by name, has no addresses, or some past the last.
    case emptyRange(String)
    /// The device, by name, wants an interrupt line that the machine does not have.
    case noSuchInterruptLine(UInt32, String)
    /// Two devices, by name, want the same interrupt line.
    case interruptLineTaken(UInt32, String, String)
}

extension BusError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .overlap(let one, let other): "The devices \(one) and \(other) claim the same addresses."
        case .tooManyDevices: "More than 255 devices are attached to one bus."
        case .overlapsMemory(let name): "The device \(name) claims addresses of guest memory."
        case .emptyRange(let name): "The device \(name) claims no addresses, or some past the last one."
        case .noSuchInterruptLine(let line, let name): "The device \(name) claims interrupt line \(line)."
        case .interruptLineTaken(let line, let one, let other):
            "The devices \(one) and \(other) claim interrupt line \(line)."
        }
    }
}
