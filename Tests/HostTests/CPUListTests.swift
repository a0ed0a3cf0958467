@testable import Host
@testable import TestSupport
import XCTest

/// Lists of CPUs, as people write them.
final class CPUListTests: XCTestCase {
    func testListsAreRead() {
        for (text, numbers) in [
            ("0", [0]), ("0,2-3", [0, 2, 3]), ("7-7", [7]), ("5,1,3", [5, 1, 3]),
            ("0-3,8,10-11", [0, 1, 2, 3, 8, 10, 11]),
            ("8191", [8191]), ("007", [7]),
        ] {
            XCTAssertEqual(CPUList(text)?.numbers, numbers, text)
        }
    }

    func testOtherTextIsRefused() {
        for text in [
            "", ",", "0,", ",0", "0,,1", "-", "-1", "1-", "3-2", "0-1-2", "a", "0x1", "+1", "1 ", " 1", "0,0", "0-2,1",
            "8192",
            "0-8192", "99999999999999999999", "٣",
        ] {
            XCTAssertNil(CPUList(text), text)
        }
    }

    func testListsAreWrittenAsTheyAreRead() {
        for text in ["0", "0,2-3", "5,1,3", "0-3,8,10-11"] { XCTAssertEqual(CPUList(text)?.description, text) }
        XCTAssertEqual(CPUList(numbers: [1, 2, 3, 5])?.description, "1-3,5")
    }

    func testTheListStartsOverWhenThereAreMoreVCPUs() throws {
        let list = try XCTUnwrap(CPUList("4,6-7"))
        XCTAssertEqual((0..<7).map(list.cpu(forVCPU:)), [4, 6, 7, 4, 6, 7, 4])
    }
}
