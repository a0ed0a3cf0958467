@testable import Devices
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

/// Virtqueues by drivers that do as they should, and by such that do not.
final class SplitQueueTests: XCTestCase {
    private static let indirect: UInt64 = 1 << 28
    private static let eventIndex: UInt64 = 1 << 29

    private func makeDriver(_ features: UInt64 = 0) throws -> (VirtioDriver, EchoDevice) {
        let (driver, device) = try VirtioDriver.making(queueSizes: [8], make: EchoDevice.init)
        driver.features |= features
        try driver.start(sizes: [8])
        return (driver, device)
    }

    func testIndicesWrap() throws {
        try TestBed.skipWhereEmulated()
        for features in [0, Self.eventIndex | Self.indirect] {
            let (driver, device) = try makeDriver(features)
            for number in 0..<70_000 {
                device.seen.withLock { $0 = [] }
                try driver.wantInterrupt(0, after: UInt16(truncatingIfNeeded: number))
                let bytes = [UInt8(truncatingIfNeeded: number)]
                let (head, _) = try driver.submit(0, readable: [bytes], writable: [1], isIndirect: features != 0)
                guard try driver.used(0) == [VirtioDriver.Used(head: head, written: 1)],
                    device.seen.withLock({ $0 }) == [bytes], driver.interruptCount == number + 1
                else { return XCTFail("request \(number)") }
            }
        }
    }

    func testInterruptsOnlyWhereTheDriverWantsThem() throws {
        let (driver, _) = try makeDriver(Self.eventIndex)
        try driver.wantInterrupt(0, after: 2)
        for expected in [0, 0, 1, 1] {
            try driver.submit(0, readable: [[1]])
            XCTAssertEqual(driver.interruptCount, expected)
        }
        try driver.wantInterrupt(0, after: 5)
        for _ in 0..<3 { try driver.submit(0, readable: [[1]], notifies: false) }
        driver.notify(0)
        XCTAssertEqual(driver.interruptCount, 2, "the sixth was among the three")

        let (plain, _) = try makeDriver()
        let flags = GuestPhysicalAddress(plain.queues[0].driver)
        try plain.memory.store(UInt16(1), at: flags)
        try plain.submit(0, readable: [[1]])
        XCTAssertEqual(plain.interruptCount, 0)
        try plain.memory.store(UInt16(0), at: flags)
        try plain.submit(0, readable: [[1]])
        XCTAssertEqual(plain.interruptCount, 1)
    }

    func testNotificationsAreAskedFor() throws {
        let (driver, _) = try makeDriver(Self.eventIndex)
        // Behind the used ring: after which element the device wants to hear.
        let event = GuestPhysicalAddress(driver.queues[0].device + 4 + 8 * 8)
        for expected: UInt16 in 1...3 {
            try driver.submit(0, readable: [[1]])
            XCTAssertEqual(try driver.memory.load(at: event), expected)
        }
        XCTAssertFalse(driver.link.serveOne(0) { _ in 0 })
        try driver.submit(0, readable: [[1]], notifies: false)
        XCTAssertTrue(driver.link.hasRequest(0))
        XCTAssertTrue(driver.link.serveOne(0) { _ in 0 })
        XCTAssertEqual(try driver.memory.load(at: event), UInt16(3), "as long as it serves, it wants none")
        XCTAssertFalse(driver.link.hasRequest(0))
        XCTAssertEqual(try driver.memory.load(at: event), UInt16(4))

        let (plain, _) = try makeDriver()
        let flags = GuestPhysicalAddress(plain.queues[0].device)
        try plain.submit(0, readable: [[1]], notifies: false)
        XCTAssertTrue(plain.link.serveOne(0) { _ in 0 })
        XCTAssertEqual(try plain.memory.load(at: flags), UInt16(1))
        XCTAssertFalse(plain.link.serveOne(0) { _ in 0 })
        XCTAssertEqual(try plain.memory.load(at: flags), UInt16(0))
    }

    /// What a device says of a request with descriptors as given, at number 0.
    private func fault(
        _ features: UInt64 = 0, head: UInt16 = 0, _ prepare: (VirtioDriver) throws -> Void
    ) throws -> VirtqueueFault? {
        let (driver, device) = try makeDriver(features)
        try prepare(driver)
        try driver.publish(0, head: head)
        driver.notify(0)
        let fault = driver.link.activity.lastFault
        XCTAssertEqual(driver.status.contains(.needsReset), fault != nil)
        XCTAssertEqual(device.seen.withLock { $0.count }, fault == nil ? 1 : 0)
        XCTAssertEqual(try driver.used(0).count, fault == nil ? 1 : 0)
        return fault
    }

    func testDescriptorsAreChecked() throws {
        XCTAssertEqual(try fault(head: 8) { _ in }, .descriptorNumber(8))
        XCTAssertNil(try fault { try $0.setDescriptor(0, 0, 0x8_0000, 16, 0, 0) })
        XCTAssertEqual(
            try fault { try $0.setDescriptor(0, 0, 0x8_0000, 16, 1, 8) }, .descriptorNumber(8), "next is not there")
        XCTAssertEqual(try fault { try $0.setDescriptor(0, 0, 0x8_0000, 16, 1, 0) }, .chainTooLong, "a loop")
        XCTAssertEqual(
            try fault { try $0.setDescriptor(0, 0, 0x8_0000, 0, 0, 0) }, .buffer(address: 0x8_0000, size: 0))
        XCTAssertNil(try fault { try $0.setDescriptor(0, 0, 0xf_fff0, 16, 0, 0) }, "the last bytes of memory")
        XCTAssertEqual(
            try fault { try $0.setDescriptor(0, 0, 0xf_fff0, 17, 0, 0) }, .buffer(address: 0xf_fff0, size: 17))
        XCTAssertEqual(
            try fault { try $0.setDescriptor(0, 0, .max, 2, 0, 0) }, .buffer(address: .max, size: 2), "no wrapping")
        XCTAssertEqual(
            try fault { try $0.setDescriptor(0, 0, 0, 0xffff_ffff, 0, 0) }, .buffer(address: 0, size: 0xffff_ffff))
        XCTAssertEqual(
            try fault {
                try $0.setDescriptor(0, 0, 0x8_0000, 16, 3, 1)
                try $0.setDescriptor(0, 1, 0x8_0000, 16, 0, 0)
            }, .bufferOrder)
    }

    func testChainsOfAllDescriptors() throws {
        XCTAssertNil(
            try fault {
                for index: UInt16 in 0..<8 {
                    try $0.setDescriptor(0, index, 0x8_0000, 16, index < 7 ? 1 : 0, index + 1)
                }
            })
    }

    func testIndirectTablesAreChecked() throws {
        func table(
            _ length: Int, _ flags: UInt16 = 4, features: UInt64 = SplitQueueTests.indirect, entryFlags: UInt16 = 0
        ) throws -> VirtqueueFault? {
            try fault(features) {
                try $0.setDescriptor(0, 0, 0x8_0000, length, flags, 0)
                var entry = ByteBuilder()
                entry.add(UInt64(0x9_0000))
                entry.add(UInt32(16))
                entry.add(entryFlags)
                entry.add(UInt16(0))
                try $0.memory.write(entry.bytes, at: GuestPhysicalAddress(0x8_0000))
            }
        }
        XCTAssertNil(try table(16))
        XCTAssertNil(try table(16, 6), "whether the table is to be written is of no interest")
        XCTAssertEqual(try table(16, features: 0), .indirectTable, "not agreed upon")
        XCTAssertEqual(try table(0), .indirectTable)
        XCTAssertEqual(try table(17), .indirectTable)
        XCTAssertEqual(try table(16, 5), .indirectTable, "a table with something behind it")
        XCTAssertEqual(try table(16, entryFlags: 4), .indirectTable, "a table in a table")
        XCTAssertEqual(try table(16, entryFlags: 1), .chainTooLong, "a loop")
        XCTAssertEqual(try table(0x10_0010), .indirectTable, "more than any table has")
        XCTAssertEqual(try table(0x8_0010), .indirectTable, "past the end of memory")
    }

    func testTableBehindADescriptor() throws {
        XCTAssertEqual(
            try fault(Self.indirect) {
                try $0.setDescriptor(0, 0, 0x8_0000, 16, 1, 1)
                try $0.setDescriptor(0, 1, 0x8_0000, 16, 4, 0)
            }, .indirectTable)
    }

    func testMoreAvailableThanThereIsRoomFor() throws {
        let (driver, device) = try makeDriver()
        try driver.setDescriptor(0, 0, 0x8_0000, 16, 0, 0)
        let index = GuestPhysicalAddress(driver.queues[0].driver + 2)
        try driver.memory.store(UInt16(8), at: index)
        driver.notify(0)
        XCTAssertEqual(device.seen.withLock { $0.count }, 8, "the same descriptor eight times is the driver's affair")
        try driver.memory.store(UInt16(8 + 9), at: index)
        driver.notify(0)
        XCTAssertEqual(driver.link.activity.lastFault, .availableIndex)
        XCTAssertEqual(device.seen.withLock { $0.count }, 8)
    }
}
