import Host

/// The bytes of a PC's CMOS memory that mean something.
///
/// Sources: Motorola MC146818A data sheet, "Address map" and "Registers"; for the century ACPI 6.4, section 5.2.9
/// (FADT, CENTURY); for the sizes of memory the list of CMOS bytes of Bochs's and QEMU's BIOS, which guests know.
enum CMOSRegister {
    /// The bytes that say when the alarm is.
    enum Alarm: UInt8 {
        case seconds = 0x01
        case minutes = 0x03
        case hours = 0x05

        /// The byte of the time that it is compared with.
        var register: UInt8 {
            switch self {
            case .seconds: CMOSRegister.seconds
            case .minutes: CMOSRegister.minutes
            case .hours: CMOSRegister.hours
            }
        }
    }

    /// In a byte of the alarm, this or more: it does not matter.
    static let anyTime: UInt8 = 0xC0

    package static let seconds: UInt8 = 0x00
    package static let minutes: UInt8 = 0x02
    package static let hours: UInt8 = 0x04
    package static let weekday: UInt8 = 0x06
    package static let day: UInt8 = 0x07
    package static let month: UInt8 = 0x08
    package static let year: UInt8 = 0x09
    package static let a: UInt8 = 0x0A
    package static let b: UInt8 = 0x0B
    package static let c: UInt8 = 0x0C
    package static let d: UInt8 = 0x0D
    /// The two leading digits of the year. The FADT says that it is here.
    static let century: UInt8 = 0x32

    /// KiB below 1 MiB, two bytes.
    static let baseMemory: UInt8 = 0x15
    /// KiB from 1 MiB on, two bytes, at most 65,535.
    package static let extendedMemory: UInt8 = 0x17
    /// The same as the power-on self-test found it.
    static let extendedMemoryFound: UInt8 = 0x30
    /// Units of 64 KiB from 16 MiB to 4 GiB, two bytes.
    static let memoryAbove16MiB: UInt8 = 0x34
    /// Units of 64 KiB from 4 GiB on, three bytes.
    package static let memoryAbove4GiB: UInt8 = 0x5B

    /// Register A: an update of the time is about to happen.
    static let updateInProgress: UInt8 = 0x80
    /// Register A: the divider, and what it says when the clock runs.
    static let dividerMask: UInt8 = 0x70
    static let dividerRuns: UInt8 = 0x20
    /// Register A: the periodic interrupt's rate.
    static let rateMask: UInt8 = 0x0F
    /// Register A after power-on: the divider for 32,768 Hz, and the periodic interrupt's rate of 1,024 Hz.
    static let initialA: UInt8 = 0x26

    /// Register B: the time stands still and may be set.
    package static let set: UInt8 = 0x80
    /// Register B: the time is binary, not BCD.
    package static let binary: UInt8 = 0x04
    /// Register B: hours go from 0 to 23, not twice from 1 to 12.
    static let hours24: UInt8 = 0x02

    /// Register C: an interrupt is pending.
    static let interruptPending: UInt8 = 0x80
    /// Register C: what has happened since the last read. Register B has bits at the same places for the interrupts.
    static let periodic: UInt8 = 0x40
    static let alarm: UInt8 = 0x20
    static let updateEnded: UInt8 = 0x10
    static let allFlags = periodic | alarm | updateEnded

    /// Register D: the battery was never empty.
    static let validTime: UInt8 = 0x80

    /// In 12-hour mode, with the hours: after noon.
    static let afterNoon: UInt8 = 0x80
}

/// How the time stands in the bytes of a CMOS clock: what register B chooses.
///
/// Source: Motorola MC146818A data sheet, table 3 "Time, calendar and alarm data modes".
struct CMOSTimeFormat: Hashable, Sendable {
    /// Binary numbers, not BCD.
    let isBinary: Bool
    /// Hours from 0 to 23, not twice from 1 to 12.
    let has24Hours: Bool

    /// The bytes that hold the time.
    package static let registers: [UInt8] = [
        CMOSRegister.seconds, CMOSRegister.minutes, CMOSRegister.hours, CMOSRegister.weekday, CMOSRegister.day,
        CMOSRegister.month, CMOSRegister.year, CMOSRegister.century,
    ]

    init(registerB: UInt8) {
        isBinary = registerB & CMOSRegister.binary != 0
        has24Hours = registerB & CMOSRegister.hours24 != 0
    }

    /// The value of a byte at a time; 0 for a byte that does not belong to it.
    package func encode(_ time: CalendarTime, _ register: UInt8) -> UInt8 {
        switch register {
        case CMOSRegister.seconds: encode(time.second)
        case CMOSRegister.minutes: encode(time.minute)
        case CMOSRegister.hours: encodeHour(time.hour)
        case CMOSRegister.weekday: encode(time.weekday)
        case CMOSRegister.day: encode(time.day)
        case CMOSRegister.month: encode(time.month)
        case CMOSRegister.year: encode(CalendarTime.floored(time.year, 100).remainder)
        case CMOSRegister.century: encode(CalendarTime.floored(time.year, 100).quotient)
        default: 0
        }
    }

    /// The time that bytes say, whatever they are: guests write what they like.
    package func decode(_ byte: (UInt8) -> UInt8) -> CalendarTime {
        CalendarTime(
            year: 100 * decode(byte(CMOSRegister.century)) + decode(byte(CMOSRegister.year)),
            month: decode(byte(CMOSRegister.month)),
            day: decode(byte(CMOSRegister.day)),
            hour: decodeHour(byte(CMOSRegister.hours)),
            minute: decode(byte(CMOSRegister.minutes)),
            second: decode(byte(CMOSRegister.seconds))
        )
    }

    private func encode(_ value: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: isBinary ? value : (value / 10 % 10) << 4 | value % 10)
    }

    private func decode(_ byte: UInt8) -> Int {
        isBinary ? Int(byte) : Int(byte >> 4) * 10 + Int(byte & 0x0F)
    }

    private func encodeHour(_ hour: Int) -> UInt8 {
        guard !has24Hours else { return encode(hour) }
        let hour12 = hour % 12 == 0 ? 12 : hour % 12
        return encode(hour12) | (hour >= 12 ? CMOSRegister.afterNoon : 0)
    }

    private func decodeHour(_ byte: UInt8) -> Int {
        guard !has24Hours else { return decode(byte) }
        let hour12 = decode(byte & ~CMOSRegister.afterNoon) % 12
        return byte & CMOSRegister.afterNoon != 0 ? hour12 + 12 : hour12
    }
}
