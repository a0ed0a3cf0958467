@testable import Devices
import Dispatch
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

/// Drivers that do anything at all, of a device that is as simple as can be: what is right is served as a model says, what
/// is wrong ends in DEVICE_NEEDS_RESET, and nothing else is touched. `HostileQueueTests` has those of every device.
final class VirtqueueFuzzTests: XCTestCase {
    private static let sizes: [UInt16] = [8]

    private func makeDriver() throws -> (VirtioDriver, EchoDevice) {
        let (driver, device) = try VirtioDriver.making(queueSizes: Self.sizes, make: EchoDevice.init)
        driver.features |= 1 << 28 | 1 << 29
        try driver.start(sizes: Self.sizes)
        return (driver, device)
    }

    /// Requests of random shape, against what an echo must come to.
    func testRequestsOfEveryShape() throws {
        try TestBed.skipWhereEmulated()
        let (driver, device) = try makeDriver()
        for seed in 0..<TestExtent.of(UInt64(5000), exhaustive: 200_000) {
            var random = SeededGenerator(seed: seed)
            let readable = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                (0..<Int.random(in: 1...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            }
            let fewest = readable.isEmpty ? 1 : 0
            let writable = (0..<Int.random(in: fewest...3, using: &random)).map { _ in
                Int.random(in: 1...40, using: &random)
            }
            device.seen.withLock { $0 = [] }
            let request = try driver.submit(
                0, readable: readable, writable: writable, isIndirect: Bool.random(using: &random))
            let sent = readable.flatMap(\.self)
            XCTAssertEqual(device.seen.withLock { $0 }, [sent], "seed \(seed)")
            let count = min(sent.count, writable.reduce(0, +))
            XCTAssertEqual(
                try driver.used(0), [VirtioDriver.Used(head: request.head, written: count)], "seed \(seed)")
            let echo = try zip(request.buffers, writable).flatMap { try driver.bytes($0, $1) }
            XCTAssertEqual(Array(echo.prefix(count)), Array(sent.prefix(count)), "seed \(seed)")
        }
    }

    /// One hostile step: something of the queue is changed, or a register is.
    private func mutate(_ driver: VirtioDriver, _ random: inout SeededGenerator) throws {
        let queue = driver.queues[0]
        let word = random.next()
        switch word & 15 {
        case 0...5:
            // A field of a descriptor, often with a value at an edge.
            let edges: [UInt64] = [0, 1, 7, 8, 15, 16, 0xffff, 0x8_0000, 0xf_fff0, 0x10_0000, 0xffff_ffff, .max]
            let value = word >> 8 & 1 == 0 ? edges[Int(word >> 16) % edges.count] : random.next()
            let offset = [0, 8, 12, 14][Int(word >> 10 & 3)] + 16 * (word >> 12 & 7)
            let place = GuestPhysicalAddress(queue.descriptors + UInt64(offset))
            switch word >> 10 & 3 {
            case 0: try driver.memory.store(value, at: place)
            case 1: try driver.memory.store(UInt32(truncatingIfNeeded: value), at: place)
            default: try driver.memory.store(UInt16(truncatingIfNeeded: value), at: place)
            }
        case 6...8:
            let place = GuestPhysicalAddress(queue.driver + (word >> 8) % 24)
            try driver.memory.store(UInt8(truncatingIfNeeded: word >> 16), at: place)
        case 9...11: try driver.publish(0, head: UInt16(word >> 8 & 15))
        case 12: driver.write(word >> 8 & 0xfc, UInt64(UInt32(truncatingIfNeeded: word >> 32)))
        case 13: driver.write(0x070, word >> 8 & 0xcf)
        default: _ = driver.read(word >> 8 & 0x1ff, .long)
        }
        driver.notify(0)
    }

    /// A driver that has gone wild is stopped at the first mistake, and finds everything as new after a reset.
    func testHostileDrivers() throws {
        try TestBed.skipWhereEmulated()
        let (driver, device) = try makeDriver()
        var faults = 0
        for seed in 0..<TestExtent.of(UInt64(3000), exhaustive: 100_000, total: 1_000_000) {
            var random = SeededGenerator(seed: seed)
            driver.write(0x070, 0)
            try driver.start(sizes: Self.sizes)
            // The descriptors are right to begin with, so that mutations go far.
            for index: UInt16 in 0..<8 {
                let isLast = index % 3 == 2 || index == 7
                let flags: UInt16 = (isLast ? 0 : 1) | (index % 3 == 2 ? 2 : 0)
                try driver.setDescriptor(0, index, 0x8_0000 + UInt64(index) * 0x100, 0x40, flags, index + 1)
            }
            for _ in 0..<12 { try mutate(driver, &random) }
            if driver.status.contains(.needsReset) { faults += 1 }
            device.seen.withLock { $0 = [] }
        }
        XCTAssertGreaterThan(faults, 100)
        try driver.start(sizes: Self.sizes)
        try driver.submit(0, readable: [[42]])
        XCTAssertEqual(device.seen.withLock { $0 }, [[42]])
    }

    /// The same while other vCPUs change the queue, notify and reset at the same time.
    func testSeveralVCPUsAtOnce() throws {
        try TestBed.skipWhereEmulated()
        let (driver, device) = try makeDriver()
        let rounds = TestExtent.of(3000, exhaustive: 300_000)
        let memory = driver.memory
        let link = driver.link
        let transport = VirtioTransport(device, link)
        let queue = driver.queues[0]
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            var random = SeededGenerator(seed: UInt64(thread))
            for _ in 0..<rounds {
                let word = random.next()
                switch word & 7 {
                case 0...3:
                    try? memory.store(
                        UInt32(truncatingIfNeeded: word >> 32),
                        at: GuestPhysicalAddress(queue.base + (word >> 8) % 0x90))
                case 4: try? memory.store(UInt16(word >> 8 & 0xff), at: GuestPhysicalAddress(queue.driver + 2))
                case 5 where thread == 0: transport.writeMMIO(0x070, width: .long, value: word >> 8 & 0x1f)
                case 6 where thread == 0:
                    transport.writeMMIO(0x044, width: .long, value: word >> 8 & 1)
                default: transport.writeMMIO(0x050, width: .long, value: 0)
                }
                if word & 0xff00 == 0 { device.seen.withLock { $0 = [] } }
            }
        }
        driver.write(0x070, 0)
        try driver.start(sizes: Self.sizes)
        device.seen.withLock { $0 = [] }
        try driver.submit(0, readable: [[42]])
        XCTAssertEqual(device.seen.withLock { $0 }, [[42]])
    }
}
