@testable import Counters
import Histogram
@testable import TestSupport
import XCTest

final class ServiceTimeDistributionTests: XCTestCase {
    func testClassesMeetWithoutGaps() {
        for number in 0..<(42 * ServiceTimeDistribution.classesPerDoubling) {
            let from = ServiceTimeDistribution.leastCycles(ofClass: number)
            let below = ServiceTimeDistribution.leastCycles(ofClass: number + 1)
            // Some of the lowest classes have no whole number in them.
            guard from < below else { continue }
            XCTAssertEqual(ServiceTimeDistribution.classNumber(of: from), number)
            XCTAssertEqual(ServiceTimeDistribution.classNumber(of: below - 1), number)
        }
        XCTAssertEqual(ServiceTimeDistribution.classNumber(of: 0), 0)
    }

    func testEveryExitIsInAClass() {
        var histograms = (0..<2).map { _ in
            Histogram<UInt64>(highestTrackableValue: 1 << 42, numberOfSignificantValueDigits: .two)
        }
        for cycles: UInt64 in [1, 2, 3, 100, 101, 1 << 30] { histograms[0].record(cycles) }
        histograms[1].record(100)
        let distribution = ServiceTimeDistribution(.hlt, of: histograms)
        XCTAssertEqual(
            distribution.classes.map(\.number), [1, 2, 3, 100, 1 << 30].map(ServiceTimeDistribution.classNumber))
        XCTAssertEqual(distribution.classes.map(\.exits), [1, 1, 1, 3, 1])
    }
}
