@testable import Devices
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// The registers of a virtio device, and how a driver and a device come together.
final class VirtioTransportTests: XCTestCase {
    private func makeDriver(_ configuration: [UInt8] = []) throws -> (VirtioDriver, EchoDevice) {
        try VirtioDriver.making(queueSizes: [8, 4], configuration: configuration, make: EchoDevice.init)
    }

    func testIdentity() throws {
        let (driver, _) = try makeDriver([1, 2, 3, 4, 5, 6, 7, 8, 9])
        // Source: virtio 1.2, section 4.2.2: "virt", version 2, then the device's and the vendor's number.
        XCTAssertEqual(driver.read(0x000), 0x7472_6976)
        XCTAssertEqual(driver.read(0x004), 2)
        XCTAssertEqual(driver.read(0x008), 4)
        XCTAssertEqual(driver.read(0x00c), 0x4d4d_564d)
        XCTAssertEqual(driver.read(0x034), 8)
        driver.write(0x030, 1)
        XCTAssertEqual(driver.read(0x034), 4)
        driver.write(0x030, 2)
        XCTAssertEqual(driver.read(0x034), 0, "there is no third queue")
        XCTAssertEqual(driver.read(0x0b0), 0xffff_ffff, "there is no shared memory")
        XCTAssertEqual(driver.read(0x0fc), 0)
        XCTAssertEqual(driver.read(0x100, .byte), 1)
        XCTAssertEqual(driver.read(0x101, .word), 0x0302)
        XCTAssertEqual(driver.read(0x104), 0x0807_0605)
        XCTAssertEqual(driver.read(0x106, .quad), 0x09_0807, "zeros behind the end")
        XCTAssertEqual(driver.read(.max, .quad), 0)
        XCTAssertEqual(driver.read(0x000, .byte), 0, "registers have 32 bits")
        XCTAssertEqual(driver.link.activity.registerAccesses, 17)
    }

    func testFeatures() throws {
        let (driver, _) = try makeDriver()
        XCTAssertEqual(driver.read(0x010), 0x3000_0001, "the device's own, indirect descriptors, event index")
        driver.write(0x014, 1)
        XCTAssertEqual(driver.read(0x010), 1, "version 1")
        driver.write(0x014, 2)
        XCTAssertEqual(driver.read(0x010), 0)
        XCTAssertTrue(driver.negotiate())
        driver.features = 1 << 32 | 1 << 29 | 1
        XCTAssertTrue(driver.negotiate())
        driver.features = 1 << 32 | 1 << 2
        XCTAssertFalse(driver.negotiate(), "a feature that was not offered")
        driver.features = 1
        XCTAssertFalse(driver.negotiate(), "a legacy driver")
        XCTAssertEqual(driver.status, [.acknowledged, .driverFound])
    }

    func testRequestGoesThrough() throws {
        let (driver, device) = try makeDriver()
        try driver.start(sizes: [8, 4])
        XCTAssertEqual(device.starts.load(ordering: .relaxed), 1)
        let (head, buffers) = try driver.submit(0, readable: [[1, 2], [3]], writable: [2, 2])
        XCTAssertEqual(try driver.used(0), [VirtioDriver.Used(head: head, written: 3)])
        XCTAssertEqual(try driver.bytes(buffers[0], 2) + driver.bytes(buffers[1], 2), [1, 2, 3, 0])
        XCTAssertEqual(driver.interruptCount, 1)
        XCTAssertEqual(driver.read(0x060), 1)
        driver.write(0x064, 1)
        XCTAssertEqual(driver.read(0x060), 0)
        let activity = driver.link.activity
        XCTAssertEqual(
            [activity.servedRequests, activity.bytesFromGuest, activity.bytesToGuest, activity.raisedInterrupts],
            [1, 3, 3, 1])
    }

    func testNothingIsServedBeforeDriverOK() throws {
        let (driver, device) = try makeDriver()
        try driver.start(sizes: [8, 4])
        XCTAssertTrue(driver.negotiate())
        for (index, queue) in driver.queues.enumerated() { driver.prepare(index, queue) }
        try driver.submit(0, readable: [[1]])
        XCTAssertEqual(device.seen.withLock { $0.count }, 0)
        driver.write(0x070, 0xf)
        driver.notify(0)
        XCTAssertEqual(device.seen.withLock { $0 }, [[1]])
    }

    func testWrongUseNeedsReset() throws {
        let (driver, device) = try makeDriver()
        func expectFault(_ fault: VirtqueueFault, line: UInt = #line, _ body: () -> Void) {
            XCTAssertTrue(driver.negotiate(), line: line)
            body()
            XCTAssertTrue(driver.status.contains(.needsReset), line: line)
            XCTAssertEqual(driver.link.activity.lastFault, fault, line: line)
        }
        func prepare(_ size: UInt16, _ base: UInt64) { driver.prepare(0, .init(size: size, base: base)) }
        expectFault(.queueSize(0)) { prepare(0, 0x4000) }
        expectFault(.queueSize(3)) { prepare(3, 0x4000) }
        expectFault(.queueSize(16)) { prepare(16, 0x4000) }
        expectFault(.queueAddress(0x4001)) { prepare(8, 0x4001) }
        expectFault(.queueAddress(0x10_0000)) { prepare(8, 0x10_0000) }
        expectFault(.queueAddress(0xffff_ffff_ffff_fff0)) { prepare(8, 0xffff_ffff_ffff_fff0) }
        // The used ring has 70 bytes, of which there are 48.
        expectFault(.queueAddress(0xf_ffd0)) { prepare(8, 0xf_dfd0) }
        driver.write(0x070, 0)
        XCTAssertTrue(driver.status.isEmpty)
        prepare(8, 0x4000)
        XCTAssertEqual(driver.link.activity.lastFault, .initialization, "a queue before the features")
        driver.write(0x070, 0)
        driver.write(0x070, 7)
        XCTAssertEqual(driver.status, [.acknowledged, .driverFound, .needsReset], "ready without features")
        XCTAssertEqual(device.starts.load(ordering: .relaxed), 0)
        // And all is well again.
        try driver.start(sizes: [8, 4])
        XCTAssertEqual(driver.status.rawValue, 0xf)
        try driver.submit(1, readable: [[7]])
        XCTAssertEqual(device.seen.withLock { $0 }, [[7]])
    }

    func testBrokenQueueTellsTheDriver() throws {
        let (driver, device) = try makeDriver()
        try driver.start(sizes: [8, 4])
        try driver.publish(0, head: 8)
        driver.notify(0)
        XCTAssertEqual(driver.status.rawValue, 0x4f)
        XCTAssertEqual(driver.read(0x060), 2, "a change of the configuration")
        XCTAssertEqual(driver.interruptCount, 1)
        try driver.submit(1, readable: [[1]])
        XCTAssertEqual(device.seen.withLock { $0 }, [], "the other queue stands still, too")
        driver.write(0x070, 0)
        XCTAssertEqual([driver.read(0x070), driver.read(0x060), driver.read(0x044)], [0, 0, 0])
        XCTAssertEqual(device.resets.load(ordering: .relaxed), 2)
    }

    func testQueueInUseDoesNotMove() throws {
        let (driver, device) = try makeDriver()
        try driver.start(sizes: [8, 4])
        driver.write(0x030, 0)
        XCTAssertEqual(driver.read(0x044), 1)
        for register: UInt64 in [0x038, 0x080, 0x090, 0x0a0] { driver.write(register, 0x100) }
        driver.write(0x044, 1)
        try driver.submit(0, readable: [[5]])
        XCTAssertEqual(device.seen.withLock { $0 }, [[5]])
        driver.write(0x044, 0)
        XCTAssertEqual(driver.read(0x044), 0)
        try driver.submit(0, readable: [[6]])
        XCTAssertEqual(device.seen.withLock { $0 }, [[5]], "it was taken away")
        driver.notify(2)
        driver.write(0x050, 0xffff_ffff)
        XCTAssertEqual(driver.status.rawValue, 0xf)
    }

    func testConfigurationChange() throws {
        let (driver, _) = try makeDriver([1])
        driver.link.changeConfiguration { $0 = [2] }
        XCTAssertEqual(driver.interruptCount, 0, "nobody is there to be told")
        try driver.start(sizes: [8, 4])
        driver.link.changeConfiguration { $0 = [3] }
        XCTAssertEqual([driver.read(0x0fc), driver.read(0x060), driver.read(0x100, .byte)], [2, 2, 3])
        XCTAssertEqual(driver.interruptCount, 1)
    }

    func testPlaceAndDescription() throws {
        var attachments = try Attachments.forTests()
        let first = try attachments.virtio(named: "one", queueSizes: [8]) { EchoDevice($0) }
        _ = try attachments.virtio(named: "two", queueSizes: [8]) { EchoDevice($0) }
        XCTAssertEqual(first.link.name, "one")
        XCTAssertEqual(attachments.mmioAttachments.map(\.start.rawValue), [0xd000_0000, 0xd000_1000])
        XCTAssertEqual(attachments.virtioDevices.map(\.isNotifiedByKernel), [false, false])
        // Device (VR01) { Name (_HID, "LNRO0005") Name (_UID, One) Name (_CRS, ResourceTemplate () {
        //     Memory32Fixed (ReadWrite, 0xD0001000, 0x1000) Interrupt (ResourceConsumer, Edge, ActiveHigh) {17} }) }
        XCTAssertEqual(
            attachments.description.devices[1].bytes,
            [0x5b, 0x82, 0x3a] + Array("VR01".utf8)
                + [0x08] + Array("_HID".utf8) + [0x0d] + Array("LNRO0005".utf8) + [0]
                + [0x08] + Array("_UID".utf8) + [0x01]
                + [0x08] + Array("_CRS".utf8) + [0x11, 0x1a, 0x0a, 0x17]
                + [0x86, 9, 0, 1, 0x00, 0x10, 0x00, 0xd0, 0x00, 0x10, 0x00, 0x00]
                + [0x89, 6, 0, 3, 1, 17, 0, 0, 0] + [0x79, 0])
    }

    func testNoMoreDevicesThanInterrupts() throws {
        var attachments = try Attachments.forTests()
        for number in 0..<14 {
            _ = try attachments.virtio(named: "device \(number)", queueSizes: [8]) { EchoDevice($0) }
        }
        XCTAssertThrowsError(try attachments.virtio(named: "last", queueSizes: [8]) { EchoDevice($0) }) {
            XCTAssertEqual($0 as? VirtioError, .tooMany("last", maximum: 14))
        }
    }
}
