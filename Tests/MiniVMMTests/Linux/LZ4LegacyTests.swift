@testable import TestSupport
import XCTest

final class LZ4LegacyTests: XCTestCase {
    private static let frame: [UInt8] =
        [
            0x02, 0x21, 0x4c, 0x18,  // the magic number
            11, 0, 0, 0,  // a block of 11 bytes
            0x35, 0x61, 0x62, 0x63, 3, 0,  // "abc", and nine bytes from three before
            0x40, 0x64, 0x65, 0x66, 0x67,  // "defg"
            20, 0, 0, 0,  // a block of 20 bytes
            0xf0, 3,  // 18 bytes as they are
        ] + Array("hijklmnopqrstuvwxy".utf8)

    func testBlocksAndOverlappingMatches() throws {
        let bytes = try LZ4Legacy.decompress(Self.frame, size: 34)
        XCTAssertEqual(String(decoding: bytes, as: UTF8.self), "abcabcabcabcdefghijklmnopqrstuvwxy")
    }

    func testDamageIsAnError() {
        XCTAssertThrowsError(try LZ4Legacy.decompress(Self.frame, size: 33))
        XCTAssertThrowsError(try LZ4Legacy.decompress(Self.frame, size: 35))
        XCTAssertThrowsError(try LZ4Legacy.decompress(Array(Self.frame.dropLast()), size: 34))
        for distance: UInt8 in [0, 4] {
            var frame = Self.frame
            frame[12] = distance
            XCTAssertThrowsError(try LZ4Legacy.decompress(frame, size: 34), "distance \(distance)")
        }
    }
}
