@testable import Host
@testable import TestSupport
import XCTest

final class ForeignTextTests: XCTestCase {
    func testAllBytesComeBack() {
        for bytes: [UInt8] in [
            [], [0x41], [0xff], [0x41, 0xff, 0x42], [0xc3, 0xa9], [0xc3], [0xe2, 0x82], [0xe2, 0x82, 0xac, 0x80],
            // What stands in for a byte is itself taken byte for byte.
            [0xf4, 0x8f, 0xbf, 0xbf], [0xf4, 0x8f, 0xbe, 0x80], [0xed, 0xa0, 0x80], Array(1...255),
        ] {
            XCTAssertEqual(ForeignText.bytes(ForeignText.text(bytes)), bytes)
        }
        var generator = SeededGenerator(seed: 15)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0..<12, using: &generator)).map { _ in
                UInt8.random(in: 0x70...0xff, using: &generator)
            }
            XCTAssertEqual(ForeignText.bytes(ForeignText.text(bytes)), bytes)
        }
    }

    func testDifferentBytesAreDifferentTexts() {
        XCTAssertNotEqual(ForeignText.text([0xff]), ForeignText.text([0xf4, 0x8f, 0xbf, 0xbf]))
        XCTAssertEqual(ForeignText.text(Array("naïve €".utf8)), "naïve €")
    }

    func testWhatATerminalWouldObeyIsSpelledOut() {
        for (text, shown) in [
            ("plain ü €", "plain ü €"), ("/bin/sh\r", "/bin/sh\\r"), ("\u{1b}[31m", "\\x1b[31m"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{9b}2J", "\\u{9b}2J"), ("\u{202e}txt", "\\u{202e}txt"), ("\u{7f}", "\\x7f"),
            (ForeignText.text([0x61, 0xfe]), "a\\xfe"),
        ] {
            XCTAssertEqual(ForeignText.visible(text), shown)
        }
        XCTAssertEqual(ForeignText.visible("a\n\u{1b}", keeping: ["\n"]), "a\n\\x1b")
    }
}
