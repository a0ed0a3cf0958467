@testable import Devices
@testable import TestSupport
import XCTest

final class FeedingPaceTests: XCTestCase {
    private let start = ContinuousClock.now

    func testAPauseIsAsLongAsAMeal() {
        var pace = FeedingPace()
        XCTAssertNil(pace.pause(at: start))
        pace.serve(at: start)
        XCTAssertNil(pace.pause(at: start), "more may be offered: the guest knows what it has room for")
        pace.finish(at: start + .milliseconds(3))
        XCTAssertEqual(pace.pause(at: start + .milliseconds(3)), .milliseconds(3))
        XCTAssertEqual(pace.pause(at: start + .milliseconds(5)), .milliseconds(1))
        XCTAssertNil(pace.pause(at: start + .milliseconds(6)))
    }

    func testABellWithoutAMealMakesNoPause() {
        var pace = FeedingPace()
        pace.finish(at: start)
        XCTAssertNil(pace.pause(at: start))
        pace.serve(at: start)
        pace.finish(at: start + .milliseconds(1))
        pace.finish(at: start + .seconds(1))
        XCTAssertNil(pace.pause(at: start + .seconds(1)), "the second bell is of something else")
    }

    func testAPauseHasAnEnd() {
        var pace = FeedingPace()
        pace.serve(at: start)
        pace.finish(at: start + .seconds(100))
        XCTAssertEqual(pace.pause(at: start + .seconds(100)), FeedingPace.longestPause)
    }
}
