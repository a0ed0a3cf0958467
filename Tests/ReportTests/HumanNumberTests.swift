@testable import Report
@testable import TestSupport
import XCTest

final class HumanNumberTests: XCTestCase {
    func testCounts() {
        for (value, text): (UInt64, String) in [
            (0, "0"), (7, "7"), (999, "999"), (1000, "1.00k"), (1234, "1.23k"), (9994, "9.99k"), (9995, "10.0k"),
            (99_949, "99.9k"), (99_950, "100k"), (123_456, "123k"), (999_499, "999k"), (999_500, "1.00M"),
            (1_000_000, "1.00M"), (45_600_000, "45.6M"), (1_000_000_000, "1.00G"), (2_500_000_000_000, "2.50T"),
            (999_499_999_999_999, "999T"), (1_000_000_000_000_000, "1.00P"),
        ] {
            XCTAssertEqual(HumanNumber.count(value), text)
            XCTAssertLessThanOrEqual(text.count, 5)
        }
        XCTAssertEqual(HumanNumber.count(UInt64.max), "18447P")
    }

    func testMeans() {
        for (value, text) in [
            (0.0, "0"), (0.5, "0.50"), (3.0, "3"), (3.14159, "3.14"), (31.4159, "31.4"), (314.159, "314"),
        ] {
            XCTAssertEqual(HumanNumber.count(value), text)
        }
    }

    func testTimes() {
        for (seconds, text) in [
            (0.0, "0ns"), (850e-9, "850ns"), (4.1e-6, "4.10us"), (27.8e-3, "27.8ms"), (0.25, "250ms"), (1.5, "1.50s"),
            (125.0, "125s"), (4000.0, "4.00ks"),
        ] {
            XCTAssertEqual(HumanNumber.seconds(seconds), text)
        }
    }

    func testShares() {
        for (part, whole, text): (UInt64, UInt64, String) in [
            (0, 100, "0.0%"), (31, 1000, "3.1%"), (1, 3, "33.3%"), (9994, 10_000, "99.9%"), (9995, 10_000, "100%"),
            (5, 5, "100%"), (0, 0, "-"),
        ] {
            XCTAssertEqual(HumanNumber.share(part, of: whole), text)
        }
    }

    func testFixed() {
        for (value, digits, text) in [
            (0.0, 0, "0"), (1.005, 1, "1.0"), (2300.0, 3, "2300.000"), (0.0625, 3, "0.063"), (-1.0, 1, "0.0"),
            (1e300, 2, "1e+300"),
        ] {
            XCTAssertEqual(HumanNumber.fixed(value, digits: digits), text)
        }
    }
}
