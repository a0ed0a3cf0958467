@testable import Devices
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

/// Random numbers by requests, without a guest.
final class EntropyDeviceTests: XCTestCase {
    private func makeDriver() throws -> VirtioDriver {
        let driver = try VirtioDriver(queueSizes: EntropyDevice.queueSizes, make: EntropyDevice.init)
        try driver.start(sizes: [16])
        return driver
    }

    func testRandomNumbers() throws {
        let driver = try makeDriver()
        let (head, buffers) = try driver.submit(0, readable: [], writable: [64, 32])
        XCTAssertEqual(try driver.used(0), [VirtioDriver.Used(head: head, written: 96)])
        let first = try driver.bytes(buffers[0], 32)
        XCTAssertNotEqual(first, try driver.bytes(buffers[1], 32))
        XCTAssertNotEqual(first, [UInt8](repeating: 0, count: 32))
        XCTAssertEqual(driver.interruptCount, 1)
    }

    func testLargeRequestsGetSome() throws {
        let driver = try makeDriver()
        let (head, buffers) = try driver.submit(0, readable: [], writable: [5000])
        XCTAssertEqual(try driver.used(0), [VirtioDriver.Used(head: head, written: 4096)])
        XCTAssertEqual(try driver.bytes(buffers[0] + 4096, 904), [UInt8](repeating: 0, count: 904))
    }

    func testNothingToWriteTo() throws {
        let driver = try makeDriver()
        try driver.submit(0, readable: [[1]])
        XCTAssertEqual(driver.link.activity.lastFault, .request)
        XCTAssertTrue(driver.status.contains(.needsReset))
    }
}
