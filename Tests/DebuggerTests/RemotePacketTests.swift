import XCTest

@testable import Debugger

/// The framing of packets.
final class RemotePacketTests: XCTestCase {
    private func events(_ bytes: [UInt8]) -> [RemoteEvent] {
        var decoder = PacketDecoder()
        return bytes.compactMap { decoder.take($0) }
    }

    private func events(_ text: String) -> [RemoteEvent] { events(Array(text.utf8)) }

    func testAPacketAndItsChecksum() {
        XCTAssertEqual(events("$g#67"), [.packet([0x67])])
        XCTAssertEqual(events("$g#68"), [.damaged])
        XCTAssertEqual(events("$#00"), [.packet([])])
        XCTAssertEqual(events("$g#6"), [])
        XCTAssertEqual(events("$g#zz"), [.damaged])
        // Digits in capitals, too: 'J' is 4a.
        XCTAssertEqual(events("$J#4A"), [.packet([0x4a])])
    }

    func testWhatStandsBetweenPackets() {
        XCTAssertEqual(
            events("+-x\u{3}$g#67+"), [.acknowledged, .refused, .interrupt, .packet([0x67]), .acknowledged])
    }

    func testAPacketThatBeginsAnew() {
        XCTAssertEqual(events("$abc$g#67"), [.packet([0x67])])
    }

    func testEscapes() {
        // `}` and the byte with bit 5 changed; the checksum is of what is sent: 7d + 03 = 80.
        XCTAssertEqual(events([0x24, 0x7d, 0x03, 0x23, 0x38, 0x30]), [.packet([0x23])])
        // Nothing comes after it.
        XCTAssertEqual(events([0x24, 0x7d, 0x23, 0x37, 0x64]), [.damaged])
    }

    /// 03 is data inside of a packet.
    func testAnInterruptInsideOfAPacketIsNone() {
        XCTAssertEqual(events([0x24, 0x03, 0x23, 0x30, 0x33]), [.packet([3])])
    }

    func testAPacketThatIsTooLong() {
        let longest = [UInt8](repeating: 0, count: PacketDecoder.capacity)
        XCTAssertEqual(events([0x24] + longest + Array("#00".utf8)), [.packet(longest)])
        XCTAssertEqual(events([0x24] + longest + [0] + Array("#00$g#67".utf8)), [.damaged, .packet([0x67])])
    }

    func testEncodingIsTheOtherWayRound() {
        XCTAssertEqual(String(decoding: RemotePacket.encode("OK".utf8), as: UTF8.self), "$OK#9a")
        let all = (0...255).map { UInt8($0) }
        let encoded = RemotePacket.encode(all)
        XCTAssertEqual(events(encoded), [.packet(all)])
        // 256 bytes, four of them escaped, and `$#xx`.
        XCTAssertEqual(encoded.count, 256 + 4 + 4)
    }

    func testNumbers() {
        XCTAssertEqual(Hexadecimal.number("ffffffffffffffff".utf8), .max)
        XCTAssertNil(Hexadecimal.number("10000000000000000".utf8))
        XCTAssertNil(Hexadecimal.number("".utf8))
        XCTAssertNil(Hexadecimal.number("-1".utf8))
        XCTAssertEqual(Hexadecimal.bytes("00ffA5".utf8), [0, 0xff, 0xa5])
        XCTAssertNil(Hexadecimal.bytes("0".utf8))
        XCTAssertNil(Hexadecimal.bytes("0g".utf8))
    }
}
