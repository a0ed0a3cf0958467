@testable import Memory
@testable import TestSupport
import XCTest

final class SegmentedAddressTextTests: XCTestCase {
    func testAddresses() {
        XCTAssertEqual(SegmentedAddress("07C0:0000"), SegmentedAddress(segment: 0x7c0, offset: 0))
        XCTAssertEqual(SegmentedAddress("0:7c00"), SegmentedAddress(segment: 0, offset: 0x7c00))
        XCTAssertEqual(SegmentedAddress("0xffff:0X10"), SegmentedAddress(segment: 0xffff, offset: 0x10))
    }

    func testWhatIsNoAddress() {
        for text in ["", ":", "0", "7c0:", ":0", "0:0:0", "12345:0", "0:10000", "-0:0", "+1:0", "0x:0", "g:0", " 0:0"] {
            XCTAssertNil(SegmentedAddress(text), text)
        }
    }
}
