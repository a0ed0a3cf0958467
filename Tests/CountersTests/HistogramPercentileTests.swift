@testable import Counters
import Histogram
@testable import TestSupport
import XCTest

final class HistogramPercentileTests: XCTestCase {
    private static let percentiles = [0.1, 1, 50, 90, 99, 99.9]

    private func histogram(of values: some Sequence<UInt64>) -> Histogram<UInt64> {
        var histogram = Histogram<UInt64>(highestTrackableValue: 1 << 42, numberOfSignificantValueDigits: .two)
        for value in values { histogram.record(value) }
        return histogram
    }

    func testEmptyHistogramGivesZero() {
        for percentile in Self.percentiles {
            XCTAssertEqual(histogram(of: []).value(atPercentile: percentile), 0)
        }
    }

    func testOnlyValueIsEveryPercentile() {
        for value: UInt64 in [0, 1, 255, 256, 1_000_003] {
            for percentile in Self.percentiles {
                XCTAssertEqual(histogram(of: [value]).value(atPercentile: percentile), value)
            }
        }
    }

    func testGivesWhatTheLibraryGives() {
        var random = SeededGenerator(seed: 1)
        for count in [1, 2, 3, 10, 22, 99, 100, 101, 199, 200, 1000, 5000] {
            for maximum: UInt64 in [1, 100, 10_000, 1 << 41] {
                let values = (0..<count).map { _ in UInt64.random(in: 0...maximum, using: &random) }
                let histogram = histogram(of: values)
                for percentile in Self.percentiles {
                    XCTAssertEqual(
                        histogram.value(atPercentile: percentile), histogram.valueAtPercentile(percentile),
                        "percentile \(percentile) of \(count) values up to \(maximum)")
                }
            }
        }
    }
}
