@testable import TestSupport
import XCTest

@testable import Memory

/// Addresses and widths: their arithmetic and how they are written.
final class AddressTests: XCTestCase {
    func testGuestPhysicalAddress() {
        let (zero, last) = (GuestPhysicalAddress(0), GuestPhysicalAddress(.max))
        XCTAssertEqual(last &+ 1, zero)
        XCTAssertEqual(zero &- 1, last)
        XCTAssertEqual(GuestPhysicalAddress(0x1000) &+ 0x234, GuestPhysicalAddress(0x1234))
        XCTAssertEqual(GuestPhysicalAddress(0x1000) &- 1, GuestPhysicalAddress(0xfff))
        XCTAssertLessThan(zero, last)
        // Not as a signed number.
        XCTAssertLessThan(GuestPhysicalAddress(1), GuestPhysicalAddress(1 << 63))
        XCTAssertEqual(last.description, "0xffffffffffffffff")
        XCTAssertEqual(GuestPhysicalAddress(0xa0000).description, "0xa0000")
    }

    func testSegmentedAddressIsWrittenWithFourDigitsEach() {
        let cases: [(UInt16, UInt16, String)] = [
            (0, 0, "0000:0000"), (0x7c0, 5, "07C0:0005"), (0xffff, 0xffff, "FFFF:FFFF"), (0xf, 0xabc, "000F:0ABC"),
        ]
        for (segment, offset, text) in cases {
            let address = SegmentedAddress(segment: segment, offset: offset)
            XCTAssertEqual(address.description, text)
            XCTAssertEqual(SegmentedAddress(text), address, "what is written can be read again")
        }
    }

    func testSegmentedAddressFromUncommonText() {
        // Part of a longer text, without a copy.
        XCTAssertEqual(SegmentedAddress("at 1:2".dropFirst(3)), SegmentedAddress(segment: 1, offset: 2))
        XCTAssertEqual(SegmentedAddress("0x000a:000B"), SegmentedAddress(segment: 10, offset: 11))
        for text in ["0x00001:0", "0x0x1:0", "1:2 ", "1:\n", "\u{0661}:0", "\u{ff11}:0", "1\u{0301}:0", "1;2", "1::2"] {
            XCTAssertNil(SegmentedAddress(text), text)
        }
    }

    /// The address passes 1 MiB by up to 65,519 bytes; there is no wrap-around, as with the A20 line enabled.
    func testLinearAddressOfRealMode() {
        XCTAssertEqual(SegmentedAddress(segment: 0, offset: 0).linear, 0)
        XCTAssertEqual(SegmentedAddress(segment: 0x07c0, offset: 0).linear, 0x7c00)
        XCTAssertEqual(SegmentedAddress(segment: 0x07b0, offset: 0x100).linear, 0x7c00)
        XCTAssertEqual(SegmentedAddress(segment: 0xf000, offset: 0xfff0).linear, 0xffff0)
        XCTAssertEqual(SegmentedAddress(segment: 0xffff, offset: 0x0010).linear, 0x10_0000)
        XCTAssertEqual(SegmentedAddress(segment: 0xffff, offset: 0xffff).linear, 0x10_ffef)
    }

    func testAccessWidth() {
        XCTAssertEqual(AccessWidth.allCases.map(\.rawValue), [1, 2, 4, 8])
        XCTAssertEqual(AccessWidth.allCases.map(\.allOnes), [0xff, 0xffff, 0xffff_ffff, 0xffff_ffff_ffff_ffff])
        for count in [-1, 0, 3, 5, 6, 7, 9, 16] { XCTAssertNil(AccessWidth(rawValue: count)) }
    }
}
