import Host
package import Memory
import Synchronization

/// A PC's real-time clock and CMOS memory: an MC146818 with 128 bytes.
///
/// Ports, by offset: 0 takes the number of a byte (bit 7, which masks the NMI, is ignored) and reads as all ones; 1 is
/// that byte. Which bytes mean what stands in ``CMOSRegister``; all others keep what is written to them.
///
/// The time is the host's plus what the guest has set it off by. The guest can set it as the data sheet says (SET in
/// register B, write, clear SET) or byte by byte. The day of the week always follows from the date.
///
/// Source: Motorola MC146818A data sheet.
///
/// Its interrupts reach flat guests with one vCPU. Where KVM has the interrupt controllers none comes, and the flags in
/// register C alone tell what has happened; Linux reads the time without them.
///
/// State is kept in order by a lock; the clock is read with it held.
package final class CMOSClock: PortIODevice {
    /// Before each second's end the chip announces its update for this long, in nanoseconds: 8 periods of its crystal
    /// of 32,768 Hz, 244 µs. The update itself takes no time here.
    private static let announcement: Int64 = 244_140
    /// The bytes that the number on port 0 can name.
    private static let size = 128

    struct State {
        var index: UInt8 = 0
        /// The bytes; those of the time only while SET is.
        var bytes: [UInt8]
        /// The guest's time minus the host's, in seconds.
        var offset: Int64 = 0
        /// Until when flags were set: nanoseconds of the host's time.
        var lastLook: Int64
        /// What has happened since register C was read.
        var flags: UInt8 = 0
        /// The interrupt's line, and whether it has risen since somebody asked.
        var isRequesting = false
        var hasRisen = false
    }

    let state: Locked<State>
    let now: @Sendable () -> Int64
    /// Whether the guest has enabled an interrupt.
    let hasInterrupts = Atomic(false)
    private let onUse: @Sendable () -> Void

    /// Makes a clock that shows the host's time.
    ///
    /// - Parameters:
    ///   - memoryBelow4GiB: Bytes of the guest's memory below 4 GiB.
    ///   - memoryAbove4GiB: Bytes of the guest's memory from 4 GiB on.
    ///   - now: The time of day, in nanoseconds since 1970-01-01 00:00:00 UTC. It must not call the clock.
    ///   - onUse: Called when a guest has set an interrupt that is enabled.
    package init(
        memoryBelow4GiB: UInt64,
        memoryAbove4GiB: UInt64 = 0,
        now: @escaping @Sendable () -> Int64 = HostClock.wallNanoseconds,
        onUse: @escaping @Sendable () -> Void = {}
    ) {
        var bytes = [UInt8](repeating: 0, count: Self.size)
        bytes[Int(CMOSRegister.a)] = CMOSRegister.initialA
        bytes[Int(CMOSRegister.b)] = CMOSRegister.hours24
        Self.storeMemorySizes(below4GiB: memoryBelow4GiB, above4GiB: memoryAbove4GiB, in: &bytes)
        self.now = now
        self.onUse = onUse
        state = Locked(State(bytes: bytes, lastLook: now()))
    }

    private static func storeMemorySizes(below4GiB: UInt64, above4GiB: UInt64, in bytes: inout [UInt8]) {
        func store(_ value: UInt64, _ count: Int, at start: UInt8) {
            let capped = min(value, (1 << UInt64(8 * count)) - 1)
            for place in 0..<count {
                bytes[Int(start) + place] = UInt8(truncatingIfNeeded: capped >> UInt64(8 * place))
            }
        }
        func above(_ start: UInt64, unit: UInt64) -> UInt64 {
            below4GiB > start ? (below4GiB - start) / unit : 0
        }
        let kibibyte: UInt64 = 1 << 10
        let mebibyte: UInt64 = 1 << 20
        // Above 640 KiB a PC has its video memory and its BIOS.
        store(min(below4GiB / kibibyte, 640), 2, at: CMOSRegister.baseMemory)
        store(above(mebibyte, unit: kibibyte), 2, at: CMOSRegister.extendedMemory)
        store(above(mebibyte, unit: kibibyte), 2, at: CMOSRegister.extendedMemoryFound)
        store(above(16 * mebibyte, unit: 64 * kibibyte), 2, at: CMOSRegister.memoryAbove16MiB)
        store(above4GiB / (64 * kibibyte), 3, at: CMOSRegister.memoryAbove4GiB)
    }

    /// Whole seconds, rounded down, and the nanoseconds that remain.
    static func split(_ nanoseconds: Int64) -> (second: Int64, nanosecond: Int64) {
        let (second, nanosecond) = CalendarTime.floored(Int(nanoseconds), Int(HostClock.nanosecondsPerSecond))
        return (Int64(second), Int64(nanosecond))
    }

    /// Reads the byte that was chosen last.
    package func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
        guard offset == 1 else { return UInt32(UInt8.max) }
        return state.withLock { state in
            let time = now()
            state.advance(to: time)
            return UInt32(state.read(state.index, at: Self.split(time), announcement: Self.announcement))
        }
    }

    /// Chooses a byte, or writes the one chosen last.
    package func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        let isUse = state.withLock { state -> Bool in
            guard offset == 1 else {
                state.index = value & UInt8(Self.size - 1)
                return false
            }
            let time = now()
            state.advance(to: time)
            state.write(state.index, value, at: Self.split(time).second)
            hasInterrupts.store(state.enabledInterrupts != 0, ordering: .relaxed)
            return state.enabledInterrupts != 0
        }
        if isUse { onUse() }
    }
}

// MARK: The bytes

extension CMOSClock.State {
    var format: CMOSTimeFormat { CMOSTimeFormat(registerB: self[CMOSRegister.b]) }
    var isSet: Bool { self[CMOSRegister.b] & CMOSRegister.set != 0 }

    /// A byte. Numbers are below 128, and there are 128 bytes.
    subscript(_ number: UInt8) -> UInt8 {
        get { bytes[Int(number & 0x7F)] }
        set { bytes[Int(number & 0x7F)] = newValue }
    }

    /// Answers a read of a byte.
    package mutating func read(_ number: UInt8, at time: (second: Int64, nanosecond: Int64), announcement: Int64)
        -> UInt8
    {
        switch number {
        case CMOSRegister.a:
            let isUpdating = isUpdated && time.nanosecond >= HostClock.nanosecondsPerSecond - announcement
            return isUpdating ? self[number] | CMOSRegister.updateInProgress : self[number]
        case CMOSRegister.c:
            return readFlags()
        case CMOSRegister.d:
            return CMOSRegister.validTime
        default:
            if !isSet, CMOSTimeFormat.registers.contains(number) { loadTime(at: time.second) }
            return self[number]
        }
    }

    /// Takes a write of a byte.
    package mutating func write(_ number: UInt8, _ value: UInt8, at second: Int64) {
        switch number {
        case CMOSRegister.a:
            self[number] = value & ~CMOSRegister.updateInProgress
        case CMOSRegister.b:
            let wasSet = isSet
            if !wasSet { loadTime(at: second) }
            // While the time is set, no update ends.
            self[number] = value & CMOSRegister.set == 0 ? value : value & ~CMOSRegister.updateEnded
            if wasSet, !isSet { storeTime(at: second) }
            request()
        case CMOSRegister.c, CMOSRegister.d:
            break
        default:
            let isOfTime = !isSet && CMOSTimeFormat.registers.contains(number)
            if isOfTime { loadTime(at: second) }
            self[number] = value
            if isOfTime { storeTime(at: second) }
        }
    }

    /// Brings the bytes of the time up to date.
    private mutating func loadTime(at second: Int64) {
        let time = CalendarTime(secondsSince1970: second &+ offset)
        for register in CMOSTimeFormat.registers { self[register] = format.encode(time, register) }
    }

    /// Takes over what the bytes of the time say.
    private mutating func storeTime(at second: Int64) {
        offset = format.decode { self[$0] }.secondsSince1970 &- second
    }
}

// MARK: The component

/// A PC's clock, which also tells the sizes of the guest's memory.
public struct RealTimeClock: Component {
    /// Where a PC has it: index and data.
    package static let ports: ClosedRange<UInt16> = 0x70...0x71

    /// The clock.
    public init() {}

    public func attach(to attachments: inout Attachments) throws {
        let (low, high) = attachments.machine.memorySizes
        let ticks = attachments.machine.ticks
        let clock = CMOSClock(memoryBelow4GiB: low, memoryAbove4GiB: high, onUse: ticks.change)
        attachments.ports(clock, named: "CMOS clock", at: Self.ports)
        attachments.clock = clock
        // No interrupt: none comes where there is ACPI.
        try attachments.describe(.device("RTC", identity: "PNP0B00", resources: [.ports(Self.ports)]))
        attachments.description.centuryRegister = CMOSRegister.century
    }
}
