import CKVM
import Glibc

/// The host's clocks, as devices are given them.
public enum HostClock {
    /// Nanoseconds per second.
    package static let nanosecondsPerSecond: Int64 = 1_000_000_000

    /// The time of day: nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds left out. It may jump.
    public static func wallNanoseconds() -> Int64 {
        nanoseconds(of: CLOCK_REALTIME)
    }

    /// Nanoseconds since some moment before this process began. They never go back.
    public static func monotonicNanoseconds() -> UInt64 {
        UInt64(bitPattern: nanoseconds(of: CLOCK_MONOTONIC))
    }

    private static func nanoseconds(of clock: clockid_t) -> Int64 {
        var time = timespec()
        // Sound: the pointer is to a local variable, for the length of the call. The call fails only for a clock that
        // the system does not have, and has both; it would then leave zeros.
        _ = unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* nanosecondsPerSecond &+ Int64(time.tv_nsec)
    }
}

extension Duration {
    /// The duration in seconds.
    package var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }

    /// The duration in whole nanoseconds, modulo 2^64.
    package var inNanoseconds: Int64 {
        // A Duration's part below a second is less than 10^18 attoseconds.
        components.seconds &* HostClock.nanosecondsPerSecond &+ components.attoseconds / 1_000_000_000
    }
}

/// A date and time of day of the Gregorian calendar, in UTC without leap seconds.
///
/// The arithmetic holds for every Int64 number of seconds and for every field from -100,000 to 100,000: a field out of
/// its range counts on into the next (a second 60 is the next minute's 0), which guests are free to try.
package struct CalendarTime: Hashable, Sendable {
    package var year: Int
    /// 1 to 12.
    package var month: Int
    /// 1 to 31.
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int

    private static let secondsPerDay = 86_400
    private static let daysPerEra = 146_097
    private static let yearsPerEra = 400
    /// From 0000-03-01, where the eras of 400 years begin, to 1970-01-01.
    private static let daysToEpoch = 719_468
    /// 1970-01-01 was a Thursday, the fifth day.
    private static let weekdayOfEpoch = 4

    package init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// The date and time a number of seconds after 1970-01-01 00:00:00.
    ///
    /// Years begin in March here, so that a leap day is the last day of one. The fifth part of 153 days is the mean
    /// length of a month from March to January.
    package init(secondsSince1970 seconds: Int64) {
        let (days, secondOfDay) = Self.floored(Int(seconds), Self.secondsPerDay)
        let (era, dayOfEra) = Self.floored(days &+ Self.daysToEpoch, Self.daysPerEra)
        let leapDays = dayOfEra / 1_460 - dayOfEra / 36_524 + dayOfEra / 146_096
        let yearOfEra = (dayOfEra - leapDays) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = era * Self.yearsPerEra + yearOfEra + (month <= 2 ? 1 : 0)
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        hour = secondOfDay / 3_600
        minute = secondOfDay / 60 % 60
        second = secondOfDay % 60
    }

    /// The seconds since 1970-01-01 00:00:00.
    package var secondsSince1970: Int64 {
        let (carry, monthIndex) = Self.floored(month - 1, 12)
        let marchMonth = (monthIndex + 10) % 12
        let (era, yearOfEra) = Self.floored(year + carry - (monthIndex < 2 ? 1 : 0), Self.yearsPerEra)
        let dayOfYear = (153 * marchMonth + 2) / 5 + day - 1
        let dayOfEra = 365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * Self.daysPerEra + dayOfEra - Self.daysToEpoch
        return Int64(days * Self.secondsPerDay + hour * 3_600 + minute * 60 + second)
    }

    /// The date and time as ISO 8601 has them: `2026-11-21T09:00:00Z`.
    package var iso8601: String {
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = [padded(year, 4), padded(month, 2), padded(day, 2)].joined(separator: "-")
        let time = [hour, minute, second].map { padded($0, 2) }.joined(separator: ":")
        return "\(date)T\(time)Z"
    }

    /// The day of the week: 1 is Sunday.
    package var weekday: Int {
        let (days, _) = Self.floored(Int(secondsSince1970), Self.secondsPerDay)
        return Self.floored(days &+ Self.weekdayOfEpoch, 7).remainder + 1
    }

    /// Division that rounds down, with a remainder that is never negative. The divisor is one of the constants above.
    package static func floored(_ value: Int, _ divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
