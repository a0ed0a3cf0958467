@testable import Memory
import XCTest

final class PageWalkTests: XCTestCase {
    func testNoPaging() throws {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 4096)])
        XCTAssertEqual(PageWalk(mode: .none, cr3: 0).translate(42, in: memory), GuestPhysicalAddress(42))
    }
}
