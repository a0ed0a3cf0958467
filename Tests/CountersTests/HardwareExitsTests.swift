@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import Counters

/// The processor's own reasons in the SDM's numbers.
final class HardwareExitsTests: XCTestCase {
    /// The whole table of SVM's codes, written once more: code to reason.
    private static let svm: [(codes: ClosedRange<Int>, reason: UInt32)] = [
        (0x00...0x1f, 28), (0x20...0x3f, 29), (0x40...0x5f, 0), (0x60...0x60, 1), (0x61...0x61, 0), (0x62...0x62, 6),
        (0x63...0x63, 3), (0x64...0x64, 7), (0x65...0x65, 28), (0x66...0x67, 46), (0x68...0x69, 47), (0x6a...0x6b, 46),
        (0x6c...0x6d, 47), (0x6e...0x6e, 16), (0x6f...0x6f, 15), (0x72...0x72, 10), (0x73...0x73, 17), (0x74...0x74, 8),
        (0x76...0x76, 13), (0x77...0x77, 40), (0x78...0x78, 12), (0x79...0x79, 14), (0x7b...0x7b, 30),
        (0x7c...0x7c, 32),
        (0x7d...0x7d, 9), (0x7f...0x7f, 2), (0x80...0x80, 20), (0x81...0x81, 18), (0x82...0x82, 21), (0x83...0x83, 22),
        (0x86...0x86, 11), (0x87...0x87, 51), (0x88...0x88, 0), (0x89...0x89, 54), (0x8a...0x8a, 39), (0x8b...0x8c, 36),
        (0x8d...0x8d, 55), (0x8f...0x8f, 32), (0x90...0x9f, 28), (0xa2...0xa2, 58), (0xa5...0xa5, 74),
        (0xa6...0xa6, 12),
        (0x100...0x100, 48), (0x101...0x101, 56), (0x102...0x102, 44), (0x10e...0x10e, 49), (0x10f...0x10f, 31),
    ]

    func testEveryCodeOfSVM() {
        let reasons = HardwareExits.reasons(of: .svm)
        XCTAssertEqual(reasons.count, ExitReasonIndex.count)
        for (index, reason) in reasons.enumerated() {
            let expected = Self.svm.first { $0.codes.contains(index) }?.reason
            XCTAssertEqual(reason?.rawValue, expected, String(index, radix: 16))
        }
    }

    func testVMXHasTheManualsNumbers() {
        let reasons = HardwareExits.reasons(of: .vmx)
        for (index, reason) in reasons.enumerated() {
            XCTAssertEqual(reason, BasicExitReason(rawValue: UInt32(index)))
        }
    }

    func testCodesOfIndices() {
        for (index, code): (Int, UInt32?) in [
            (0, 0), (0x72, 0x72), (0xff, 0xff), (0x100, 0x400), (0x103, 0x403), (0x10d, 0x40d), (0x10e, 0x400),
            (0x10f, 0x7c), (0x110, nil),
        ] {
            XCTAssertEqual(HardwareExits.code(index), code, String(index, radix: 16))
        }
    }

    func testEveryReasonHasAShortName() {
        for number in 0...BasicExitReason.maximum {
            guard let reason = BasicExitReason(rawValue: number) else { continue }
            XCTAssertFalse(reason.name.hasPrefix("reason "), "\(number)")
            XCTAssertLessThanOrEqual(reason.name.count, 14, reason.name)
        }
    }

    func testQuantiles() throws {
        let times: [UInt64] = [0, 1, 2, 3, 1000, 1023, 1024, 5000]
        let kernel = KernelSettledExits.example([.init(code: 0x72, reason: 10, settled: times, passedOn: 3)])
        let row = try XCTUnwrap(kernel.rows.first)
        XCTAssertEqual(row.hardwareExits, 11)
        XCTAssertEqual(row.exits, 8)
        XCTAssertEqual(row.nanoseconds, 8053)
        XCTAssertEqual(row.passedOnNanoseconds, 3000)
        // The upper end of the bucket: of 2 and 3, of 512 to 1023, and the maximum itself.
        XCTAssertEqual([0.0, 0.25, 0.5, 0.75, 0.99].map { row.quantile($0) }, [1, 1, 3, 1023, 5000])
    }

    func testReasonsAreMergedAndOthersAreNot() {
        let kernel = KernelSettledExits.example([
            .init(code: 0x00, reason: 28, settled: [10]), .init(code: 0x7a, settled: [4]),
            .init(code: 0x10, reason: 28, settled: [30, 20], passedOn: 1), .init(code: 0x7e, settled: [5]),
        ])
        let merged = KernelSettledExits.Row.byReason(kernel.rows)
        XCTAssertEqual(merged.map(\.exits), [3, 1, 1])
        XCTAssertEqual(merged.map(\.code), [nil, 0x7a, 0x7e])
        XCTAssertEqual(merged[0].maximum, 30)
        XCTAssertEqual(merged[0].hardwareExits, 4)
        XCTAssertEqual(merged[0].histogram.reduce(0, +), 3)
    }

    func testCarriedExitsAreTakenOutOnce() {
        let kernel = KernelSettledExits.example([
            .init(code: 0x72, reason: 10, settled: [1, 2, 3], carried: 2),
            .init(code: 0x72, reason: 10, settled: [1], carried: 9),
        ])
        XCTAssertEqual(kernel.rows.map(\.exits), [1, 0])
        XCTAssertEqual(kernel.rows.map(\.carriedExits), [2, 1])
        XCTAssertEqual(kernel.hardwareExits, 4)
    }
}
