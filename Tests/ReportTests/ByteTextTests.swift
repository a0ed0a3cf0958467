@testable import Report
@testable import TestSupport
import XCTest

/// Numbers put together digit by digit, against the standard library's.
final class ByteTextTests: XCTestCase {
    private func text(_ append: (inout ByteText) -> Void) -> String {
        let bytes = [UInt8](unsafeUninitializedCapacity: 64) { room, count in
            guard let start = room.baseAddress else { return }
            var text = ByteText(at: start)
            append(&text)
            count = text.count
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Both sides of every power of ten and of sixteen, and the ends.
    private var numbers: [UInt64] {
        let powers = [UInt64(10), 16].flatMap { base in
            sequence(first: UInt64(1)) { power in
                let next = power.multipliedReportingOverflow(by: base)
                return next.overflow ? nil : next.partialValue
            }
        }
        return powers.flatMap { [$0 - 1, $0, $0 + 1] } + [.max, .max - 1]
    }

    func testNumbers() {
        for number in numbers {
            XCTAssertEqual(text { $0.append(number) }, String(number))
            XCTAssertEqual(text { $0.append(hex: number) }, "0x" + String(number, radix: 16))
            let rest = String(number % 1000)
            let digits = String(repeating: "0", count: 3 - rest.count) + rest
            XCTAssertEqual(text { $0.append(thousandths: number) }, "\(number / 1000).\(digits)")
        }
    }

    func testTextsFollowEachOther() {
        let bytes = Array("abcdef".utf8)
        let result = text { text in
            text.append("<")
            bytes.withUnsafeBufferPointer { text.append($0[2..<2]) }
            bytes.withUnsafeBufferPointer { text.append($0[2..<5]) }
            text.append("=")
            text.append(7)
        }
        XCTAssertEqual(result, "<cde=7")
    }
}
