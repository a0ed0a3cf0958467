@testable import Host
@testable import TestSupport
import XCTest

final class ByteCountTests: XCTestCase {
    func testUnits() {
        let samples: [(String, UInt64)] = [
            ("1", 1), ("4096", 4096), ("4096B", 4096), ("1K", 1024), ("1k", 1024), ("1KB", 1024), ("512KiB", 512 << 10),
            ("64M", 64 << 20), ("64MiB", 64 << 20), ("64mb", 64 << 20), ("1G", 1 << 30), ("5GiB", 5 << 30),
            ("1T", 1 << 40), ("18446744073709551615", .max), ("16777215T", 16_777_215 << 40), ("007K", 7 << 10),
        ]
        for (text, bytes) in samples {
            XCTAssertEqual(ByteCount(text)?.rawValue, bytes, text)
        }
    }

    func testWhatIsNoSize() {
        let samples = [
            "", "0", "0M", "M", "-1", "+1", "1.5G", "1 G", " 1", "1P", "1iB", "1ib", "1KK", "1MiBB", "0x10", "64Mi",
            "18446744073709551616", "16777216T", "17179869184G", "٣", "1\u{0}",
        ]
        for text in samples {
            XCTAssertNil(ByteCount(text), text)
        }
    }

    func testDescription() {
        XCTAssertEqual("\(ByteCount(0))", "0 bytes")
        XCTAssertEqual("\(ByteCount(1))", "1 byte")
        XCTAssertEqual("\(ByteCount(1000))", "1000 bytes")
        XCTAssertEqual("\(ByteCount(1536))", "1536 bytes")
        XCTAssertEqual("\(ByteCount(64 << 20))", "64 MiB")
        XCTAssertEqual("\(ByteCount(5 << 30))", "5 GiB")
        XCTAssertEqual("\(ByteCount(1 << 60))", "1048576 TiB")
    }
}
