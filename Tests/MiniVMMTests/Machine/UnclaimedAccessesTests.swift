@testable import Counters
@testable import TestSupport
import XCTest

@testable import MiniVMM

final class UnclaimedAccessesTests: XCTestCase {
    func testNothingTouched() throws {
        let accesses = try UnclaimedAccesses()
        XCTAssertEqual(accesses.touchedPorts, [])
        XCTAssertEqual(accesses.touchedPages, [])
    }

    func testPortsInAscendingOrderWithTheirCounts() throws {
        let accesses = try UnclaimedAccesses()
        let ports: [UInt16] = [0xffff, 0, 63, 64, 0x1f50, 0xffc0, 0xffbf]
        for port in ports {
            accesses.recordPort(port, isWrite: true)
            accesses.recordPort(port, isWrite: false)
            accesses.recordPort(port, isWrite: false)
        }
        let expected = ports.sorted().map { UnclaimedAddress(address: UInt64($0), reads: 2, writes: 1) }
        XCTAssertEqual(accesses.touchedPorts, expected)
    }

    func testReadsAndWritesAreApart() throws {
        let accesses = try UnclaimedAccesses()
        accesses.recordPort(7, isWrite: true)
        accesses.recordPort(8, isWrite: false)
        let expected = [
            UnclaimedAddress(address: 7, reads: 0, writes: 1), UnclaimedAddress(address: 8, reads: 1, writes: 0),
        ]
        XCTAssertEqual(accesses.touchedPorts, expected)
    }
}
