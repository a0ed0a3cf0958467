@testable import Counters
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

    func testEveryExitIsInAClass() throws {
        let table = try ExitCounterTable(vcpuCount: 2)
        for cycles: UInt64 in [1, 2, 3, 100, 101, 1 << 30] { table.counters(of: 0).finish(.hlt, serviceCycles: cycles) }
        table.counters(of: 1).finish(.hlt, serviceCycles: 100)
        let distribution = ServiceTimeDistribution(.hlt, of: (0..<2).map { table.counters(of: $0) })
        XCTAssertEqual(
            distribution.classes.map(\.number), [1, 2, 3, 100, 1 << 30].map(ServiceTimeDistribution.classNumber))
        XCTAssertEqual(distribution.classes.map(\.exits), [1, 1, 1, 3, 1])
    }
}
