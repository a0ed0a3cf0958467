/// How the time stands in the bytes of a CMOS clock: what register B chooses.
///
/// Source: Motorola MC146818A data sheet, table 3 "Time, calendar and alarm data modes".
struct CMOSTimeFormat: Hashable, Sendable {
    /// Binary numbers, not BCD.
    let isBinary: Bool
    /// Hours from 0 to 23, not twice from 1 to 12.
    let has24Hours: Bool

    /// The bytes that hold the time.
    static let registers: [UInt8] = [
        CMOSRegister.seconds, CMOSRegister.minutes, CMOSRegister.hours, CMOSRegister.weekday, CMOSRegister.day,
        CMOSRegister.month, CMOSRegister.year, CMOSRegister.century,
    ]

    init(registerB: UInt8) {
        isBinary = registerB & CMOSRegister.binary != 0
        has24Hours = registerB & CMOSRegister.hours24 != 0
    }

    /// The value of a byte at a time; 0 for a byte that does not belong to it.
    func encode(_ time: CalendarTime, _ register: UInt8) -> UInt8 {
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
    func decode(_ byte: (UInt8) -> UInt8) -> CalendarTime {
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
