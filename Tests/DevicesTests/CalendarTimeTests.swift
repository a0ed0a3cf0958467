import Foundation
@testable import Host
@testable import TestSupport
import XCTest

final class CalendarTimeTests: XCTestCase {
    func testAgreesWithFoundation() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try XCTUnwrap(TimeZone(secondsFromGMT: 0))
        // About a day and an hour apart, from 1901 to 2400, so that every day of the year and leap years come up.
        for second in stride(from: Int64(-2_177_000_000), to: 13_570_000_000, by: 90_061) {
            let date = Date(timeIntervalSince1970: TimeInterval(second))
            let fields = calendar.dateComponents([.year, .month, .day, .hour, .minute, .second, .weekday], from: date)
            let time = CalendarTime(secondsSince1970: second)
            guard time.year == fields.year, time.month == fields.month, time.day == fields.day,
                time.hour == fields.hour, time.minute == fields.minute, time.second == fields.second,
                time.weekday == fields.weekday, time.secondsSince1970 == second
            else { return XCTFail("\(second) is \(fields), not \(time)") }
        }
    }

    func testFieldsOutOfRangeCountOn() {
        let time = CalendarTime(year: 2023, month: 14, day: 30, hour: 24, minute: 60, second: 60)
        let normal = CalendarTime(secondsSince1970: time.secondsSince1970)
        XCTAssertEqual(normal, CalendarTime(year: 2024, month: 3, day: 2, hour: 1, minute: 1, second: 0))
        let zero = CalendarTime(year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0)
        let before = CalendarTime(secondsSince1970: zero.secondsSince1970)
        XCTAssertEqual(before, CalendarTime(year: -1, month: 11, day: 30, hour: 0, minute: 0, second: 0))
    }

    func testExtremesAreHarmless() {
        for second in [Int64.min, Int64.max, 0, -1] {
            _ = CalendarTime(secondsSince1970: second)
        }
        for field in [-100_000, 100_000] {
            let time = CalendarTime(year: field, month: field, day: field, hour: field, minute: field, second: field)
            _ = (time.secondsSince1970, time.weekday)
        }
    }
}
