@testable import Report
import XCTest

final class TextTableTests: XCTestCase {
    func testColumnsAreAsWideAsTheirWidestCell() {
        var table = TextTable([.left, .right, .left])
        table.add(["a", "1", "last"])
        table.add(["bcd", "234", ""])
        XCTAssertEqual(table.lines, ["a      1  last", "bcd  234"])
    }

    func testNoRows() {
        XCTAssertEqual(TextTable([.left]).lines, [])
    }
}
