@testable import KVM
@testable import TestSupport
import XCTest

final class KernelStatisticsParsingTests: XCTestCase {
    private let sample = SampleStatistics.ofEveryKind

    /// Offsets of the header's numbers.
    private enum Header {
        static let nameSize = 4
        static let count = 8
        static let identifierOffset = 12
        static let descriptorsOffset = 16
        static let dataOffset = 20
    }

    private func damage(of bytes: [UInt8]) -> KernelStatisticsDamage? {
        do {
            _ = try KernelStatistics(parsing: bytes)
            return nil
        } catch {
            return error
        }
    }

    private func setting(_ value: UInt32, at offset: Int, in bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<(offset + 4), with: $0) }
        return bytes
    }

    func testEveryKindUnitAndBase() throws {
        let parsed = try KernelStatistics(parsing: sample.bytes)
        XCTAssertEqual(parsed.identifier, "kvm-1/vcpu-0")
        let expected: [KernelStatistic] = [
            .init(name: "exits", kind: .cumulative, unit: .none, exponent: 0, base: .ten, values: [23]),
            .init(name: "pages", kind: .instant, unit: .bytes, exponent: 20, base: .ten, values: [5]),
            .init(name: "deepest", kind: .peak, unit: .cycles, exponent: 0, base: .ten, values: [7]),
            .init(
                name: "waits", kind: .logarithmicHistogram, unit: .seconds, exponent: -9, base: .ten,
                values: [1, 2, 3, 4]),
            .init(
                name: "sizes", kind: .linearHistogram(bucketSize: 100), unit: .bytes, exponent: 10, base: .two,
                values: [9, 8, 7]),
            .init(name: "blocking", kind: .instant, unit: .boolean, exponent: 0, base: .ten, values: [1]),
            .init(
                name: "from the future", kind: .unknown(9), unit: .unknown(0xf), exponent: 0, base: .unknown(0xb),
                values: [42]),
        ]
        XCTAssertEqual(parsed.statistics, expected)
    }

    func testLookUpByName() throws {
        let parsed = try KernelStatistics(parsing: sample.bytes)
        XCTAssertEqual(parsed["exits"], 23)
        XCTAssertNil(parsed["no such"])
        XCTAssertNil(parsed["waits"], "a histogram is no single number")
        XCTAssertEqual(parsed.statistic(named: "waits")?.values, [1, 2, 3, 4])
    }

    func testNoStatisticsAtAll() throws {
        let parsed = try KernelStatistics(parsing: SampleStatistics().bytes)
        XCTAssertEqual(parsed.statistics, [])
    }

    func testBounds() throws {
        let parsed = try KernelStatistics(parsing: sample.bytes)
        let waits = try XCTUnwrap(parsed.statistic(named: "waits"))
        XCTAssertEqual((0...4).map { waits.lowerBound(ofBucket: $0) }, [0, 1, 2, 4, nil])
        let sizes = try XCTUnwrap(parsed.statistic(named: "sizes"))
        XCTAssertEqual((0...3).map { sizes.lowerBound(ofBucket: $0) }, [0, 100, 200, nil])
        XCTAssertNil(try XCTUnwrap(parsed.statistic(named: "exits")).lowerBound(ofBucket: 0))
        XCTAssertNil(waits.lowerBound(ofBucket: -1))
    }

    func testBoundsBeyond64Bits() {
        let values = [UInt64](repeating: 0, count: 100)
        let logarithmic = KernelStatistic(
            name: "l", kind: .logarithmicHistogram, unit: .none, exponent: 0, base: .ten, values: values)
        XCTAssertEqual(logarithmic.lowerBound(ofBucket: 64), 1 << 63)
        XCTAssertEqual(logarithmic.lowerBound(ofBucket: 65), .max)
        XCTAssertEqual(logarithmic.lowerBound(ofBucket: 99), .max)
    }

    func testEveryPrefixIsRefused() {
        let bytes = sample.bytes
        for count in 0..<bytes.count {
            XCTAssertNotNil(damage(of: Array(bytes.prefix(count))), "\(count) bytes")
        }
        XCTAssertNil(damage(of: bytes))
        XCTAssertEqual(damage(of: []), .shortHeader)
    }

    func testOffsetsAndCountsOutOfBounds() {
        let bytes = sample.bytes
        let maximum = UInt32.max
        XCTAssertEqual(
            damage(of: setting(maximum, at: Header.identifierOffset, in: bytes)), .outOfBounds("the identifier"))
        XCTAssertEqual(damage(of: setting(maximum, at: Header.nameSize, in: bytes)), .outOfBounds("the identifier"))
        for offset in [Header.count, Header.descriptorsOffset] {
            XCTAssertEqual(damage(of: setting(maximum, at: offset, in: bytes)), .outOfBounds("a descriptor"))
        }
        XCTAssertEqual(
            damage(of: setting(maximum, at: Header.dataOffset, in: bytes)), .outOfBounds("a number of exits"))
    }

    func testNamesNeedAnEnd() {
        var sample = SampleStatistics(nameSize: 4, entries: [.init(name: "abcd", values: [1])])
        sample.identifier = "kvm"
        XCTAssertEqual(damage(of: sample.bytes), .unterminatedName)
        XCTAssertEqual(damage(of: setting(0, at: Header.nameSize, in: sample.bytes)), .unterminatedName)
    }

    /// Damaged bytes are refused or misread, and never lead outside.
    func testRandomDamage() throws {
        try TestBed.skipWhereEmulated()
        var random = SeededGenerator(seed: 2)
        let original = sample.bytes
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0...3, using: &random))
            if let parsed = try? KernelStatistics(parsing: bytes) {
                for statistic in parsed.statistics {
                    XCTAssertLessThanOrEqual(statistic.values.count * 8, bytes.count)
                    _ = statistic.lowerBound(ofBucket: statistic.values.count - 1)
                }
            }
        }
    }

    func testRandomBytes() throws {
        try TestBed.skipWhereEmulated()
        var random = SeededGenerator(seed: 3)
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...400, using: &random)
            _ = damage(of: (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
    }
}
