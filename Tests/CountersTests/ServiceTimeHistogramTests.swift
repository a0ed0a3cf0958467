@testable import Counters
import Histogram
@testable import TestSupport
import XCTest

final class ServiceTimeHistogramTests: XCTestCase {
    private static let percentiles = [0.1, 1, 50, 90, 99, 99.9, 100]

    /// Counters of an exit kind with the given service times, one vCPU for each list.
    private func table(of vcpus: [[UInt64]], _ kind: ExitKind = .hlt) throws -> ExitCounterTable {
        let table = try ExitCounterTable(vcpuCount: vcpus.count)
        for (index, values) in vcpus.enumerated() {
            for value in values { table.counters(of: index).finish(kind, serviceCycles: value) }
        }
        return table
    }

    private func histogram(of table: ExitCounterTable, _ kind: ExitKind = .hlt) -> ServiceTimeHistogram {
        ServiceTimeHistogram(kind, of: (0..<table.vcpuCount).map { table.counters(of: $0) })
    }

    /// Percentiles of the values on one vCPU.
    private func percentiles(_ percentiles: [Double], of values: [UInt64]) throws -> [UInt64] {
        let table = try table(of: [values])
        let histogram = histogram(of: table)
        return percentiles.map { histogram.value(atPercentile: $0) }
    }

    // MARK: Buckets

    func testBucketsMeetWithoutGaps() {
        XCTAssertEqual(ServiceTimeBucket.count, 4608)
        var least: UInt64 = 0
        for index in 0..<ServiceTimeBucket.count {
            let longest = ServiceTimeBucket.longest(in: index)
            XCTAssertEqual(ServiceTimeBucket.index(of: least), index)
            XCTAssertEqual(ServiceTimeBucket.index(of: longest), index)
            XCTAssertLessThanOrEqual((longest - least) * 128, least, "wider than 1/128 of \(least)")
            least = longest + 1
        }
        XCTAssertEqual(least, 1 << 42)
    }

    func testLongestTimesAreInTheLastBucket() {
        for cycles: UInt64 in [1 << 42, 1 << 43 - 1, 1 << 63, .max] {
            XCTAssertEqual(ServiceTimeBucket.index(of: cycles), ServiceTimeBucket.count - 1)
        }
    }

    func testKindsAndVCPUsHaveBucketsOfTheirOwn() throws {
        let table = try ExitCounterTable(vcpuCount: 3)
        for vcpu in 0..<3 {
            for kind in ExitKind.allCases {
                let counters = table.counters(of: vcpu)
                let times = UInt64(vcpu * ExitKind.count + kind.rawValue + 1)
                for time in [0, UInt64.max] {
                    for _ in 0..<times { counters.finish(kind, serviceCycles: time) }
                }
            }
        }
        for vcpu in 0..<3 {
            for kind in ExitKind.allCases {
                let times = UInt64(vcpu * ExitKind.count + kind.rawValue + 1)
                let counters = table.counters(of: vcpu)
                var counts = [UInt64](repeating: 0, count: ServiceTimeBucket.count)
                _ = counters.addBuckets(of: kind, to: &counts)
                XCTAssertEqual(counts.first, times)
                XCTAssertEqual(counts.last, times)
                XCTAssertEqual(ServiceTimeHistogram(kind, of: [counters]).count, 2 * times)
            }
        }
    }

    // MARK: Percentiles

    func testNoTimesGiveZero() throws {
        XCTAssertEqual(try percentiles(Self.percentiles, of: []), Self.percentiles.map { _ in 0 })
    }

    func testOnlyTimeIsEveryPercentile() throws {
        for value: UInt64 in [0, 1, 255, 256, 1_000_003, 1 << 42, .max] {
            XCTAssertEqual(try percentiles(Self.percentiles, of: [value]), Self.percentiles.map { _ in value })
        }
    }

    /// Of times beyond the last bucket's, each is longer than the histogram tells, and only the longest is the maximum.
    func testTimesBeyondTheRangeDoNotHideShorterOnes() throws {
        let table = try table(of: [[1 << 50, 1 << 45, 7, 1 << 42 - 1, 1 << 42, 300]])
        XCTAssertEqual(table.counters(of: 0).maximumServiceCycles(of: .hlt), 1 << 50)
        var counts = [UInt64](repeating: 0, count: ServiceTimeBucket.count)
        _ = table.counters(of: 0).addBuckets(of: .hlt, to: &counts)
        XCTAssertEqual(counts[7], 1)
        XCTAssertEqual(counts[ServiceTimeBucket.index(of: 300)], 1)
        XCTAssertEqual(counts.last, 4)
        XCTAssertEqual(counts.reduce(0, +), 6)
    }

    /// Against the exact answer, and against HdrHistogram with two digits.
    func testIsOffByLessThanOneIn128AndEqualsHdrHistogram() throws {
        var random = SeededGenerator(seed: 1)
        for count in [1, 2, 3, 10, 22, 99, 100, 101, 199, 200, 1000, 5000] {
            for maximum: UInt64 in [1, 100, 10_000, 1 << 41] {
                let values = (0..<count).map { _ in UInt64.random(in: 0...maximum, using: &random) }
                var reference = Histogram<UInt64>(
                    highestTrackableValue: 1 << 42, numberOfSignificantValueDigits: .two)
                for value in values { reference.record(value) }
                let sorted = values.sorted()
                for (percentile, value) in zip(Self.percentiles, try percentiles(Self.percentiles, of: values)) {
                    let rank = Int((percentile.nextDown * Double(count) / 100).rounded(.up))
                    let exact = sorted[rank - 1]
                    let what = "percentile \(percentile) of \(count) values up to \(maximum)"
                    XCTAssertGreaterThanOrEqual(value, exact, what)
                    XCTAssertLessThanOrEqual((value - exact) * 128, exact, what)
                    XCTAssertEqual(value, reference.valueAtPercentile(percentile), what)
                }
            }
        }
    }

    func testSeveralVCPUsAddUp() throws {
        let parts: [[UInt64]] = [[10, 20, 30], [], [5, 15, 25, 1000]]
        let table = try table(of: parts)
        let histogram = histogram(of: table)
        XCTAssertEqual(histogram.count, 7)
        XCTAssertEqual(histogram.value(atPercentile: 50), 20)
        XCTAssertEqual(histogram.value(atPercentile: 99), 1000)
    }

    // MARK: HdrHistogram's own test values

    /// Source: HdrHistogram, HistogramDataAccessTest: 10,000 values of 1 ms and one of 100 s, in microseconds; as they
    /// are, and with the values that the pause of 100 s has kept from being measured every 10 ms.
    func testPublishedPercentiles() throws {
        let raw = [UInt64](repeating: 1_000, count: 10_000) + [100_000_000]
        let corrected =
            [UInt64](repeating: 1_000, count: 10_000) + stride(from: 10_000, through: 100_000_000, by: 10_000)
        let published: [(values: [UInt64], percentile: Double, microseconds: UInt64)] = [
            (raw, 30, 1_000), (raw, 99, 1_000), (raw, 99.99, 1_000), (raw, 99.999, 100_000_000),
            (raw, 100, 100_000_000),
            (corrected, 30, 1_000), (corrected, 50, 1_000), (corrected, 75, 50_000_000), (corrected, 90, 80_000_000),
            (corrected, 99, 98_000_000), (corrected, 99.999, 100_000_000), (corrected, 100, 100_000_000),
        ]
        for (values, percentile, expected) in published {
            let value = try XCTUnwrap(try percentiles([percentile], of: values).first)
            // Two digits: a hundredth. The reference itself allows its histogram with three digits a thousandth.
            XCTAssertEqual(
                Double(value), Double(expected), accuracy: Double(expected) * 0.01, "percentile \(percentile)")
        }
    }

    /// Source: HdrHistogram, testValueAtPercentileExamples.
    func testPublishedSmallExamples() throws {
        XCTAssertEqual(try percentiles([50, 50.00000000000001, 50.0000000000001], of: [1, 2]), [1, 1, 2])
        XCTAssertEqual(try percentiles([25, 30], of: [1, 2, 2, 2, 2]), [2, 2])
    }
}
