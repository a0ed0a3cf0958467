@testable import Devices
import Dispatch
import Foundation
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// Drivers that do anything at all: what is right is served as a model says, what is wrong ends in DEVICE_NEEDS_RESET, and
/// nothing else is touched.
final class VirtqueueFuzzTests: XCTestCase {
    private static let sizes: [UInt16] = [8]

    private func makeDriver() throws -> (VirtioDriver, EchoDevice) {
        var device: EchoDevice?
        let driver = try VirtioDriver(queueSizes: Self.sizes) { link in
            let made = EchoDevice(link)
            device = made
            return made
        }
        driver.features |= 1 << 28 | 1 << 29
        try driver.start(sizes: Self.sizes)
        return (driver, try XCTUnwrap(device))
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

    /// The same of a real device: a queue is filled with requests of random bytes, and then goes wild.
    private func goWild(_ driver: VirtioDriver, sizes: [UInt16], seeds: UInt64) throws -> Int {
        var faults = 0
        for seed in 0..<seeds {
            var random = SeededGenerator(seed: seed)
            driver.write(0x070, 0)
            try driver.start(sizes: sizes)
            for queue in sizes.indices {
                for _ in 0..<2 {
                    // Headers of requests begin with a small number.
                    let header = [UInt8(random.next() & 15), 0, 0, 0, UInt8(random.next() & 7), 0, 1, 0]
                    let rest = (0..<Int.random(in: 1...40, using: &random)).map { _ in UInt8(random.next() & 0xff) }
                    let sector = [UInt8(random.next() & 15), 0, 0, 0, 0, 0, 0, 0]
                    try driver.submit(
                        queue, readable: queue == 0 && random.next() & 1 == 0 ? [] : [header + sector + rest],
                        writable: (0..<Int(random.next() & 3)).map { _ in Int.random(in: 1...600, using: &random) },
                        isIndirect: random.next() & 1 == 0)
                }
            }
            for _ in 0..<6 { try mutate(driver, &random) }
            if driver.status.contains(.needsReset) { faults += 1 }
        }
        driver.write(0x070, 0)
        return faults
    }

    func testHostileDriversOfEveryDevice() throws {
        try TestBed.skipWhereEmulated()
        let seeds = TestExtent.of(UInt64(500), exhaustive: 20_000, total: 1_000_000)
        let entropy = try VirtioDriver(queueSizes: EntropyDevice.queueSizes, make: EntropyDevice.init)
        XCTAssertGreaterThan(try goWild(entropy, sizes: [8], seeds: seeds), 10)

        let written = Atomic(0)
        let console = try VirtioDriver(queueSizes: VirtioConsole.queueSizes) { link in
            VirtioConsole(
                link, size: .init(columns: 80, rows: 25),
                write: { written.add($0.count, ordering: .relaxed) }, roomToReceive: {})
        }
        XCTAssertGreaterThan(try goWild(console, sizes: [8, 8, 8, 8], seeds: seeds), 10)
        XCTAssertGreaterThan(written.load(ordering: .relaxed), 0)

        let path = try makeFolder().file("disk", [UInt8](repeating: 0, count: 8 * 512))
        let disk = try Disk(path: path)
        let bell = try Doorbell()
        let control = try Worker.Control()
        var thread: PosixThread?
        let block = try VirtioDriver(queueSizes: BlockDevice.queueSizes) { link in
            let device = BlockDevice(disk, identity: "disk", link, bell: bell, isEnding: { false })
            thread = try? PosixThread(name: "disk") { device.work(control) }
            return device
        }
        XCTAssertGreaterThan(try goWild(block, sizes: [8], seeds: seeds), 10)
        control.end()
        thread?.join()
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        XCTAssertEqual(size, 8 * 512, "no disk grows")
    }

    /// The same of a network device whose other side echoes what it gets, if it is in step.
    func testHostileDriversOfANetwork() throws {
        try TestBed.skipWhereEmulated()
        let seeds = TestExtent.of(UInt64(500), exhaustive: 20_000, total: 1_000_000)
        let ends = try NetworkBench.socketPair()
        let bench = try NetworkBench(.socket(FrameSocket(takingOver: ends.device, mtu: 1500)), peer: ends.peer)
        let echo = try PosixThread(name: "echo") {
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            while case let count = recv(ends.peer, &bytes, bytes.count, 0), count > 0 {
                _ = send(ends.peer, bytes, count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            }
        }
        let features: [UInt64] = [0, 1 << 15, 1 << 15 | 1 << 28 | 1 << 29]
        for feature in features {
            bench.driver.features = 1 << 32 | feature
            XCTAssertGreaterThan(try goWild(bench.driver, sizes: [8, 8], seeds: seeds / 3), 10)
        }
        XCTAssertGreaterThan(bench.device.counts.framesFromGuest, 0)
        shutdown(ends.peer, Int32(SHUT_RDWR))
        echo.join()
        bench.end()
    }

    func testHostileDriversOfSharedFolders() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        _ = try folder.file("file", [1, 2, 3])
        let shared = try SharedFolder(path: folder.path)
        let bell = try Doorbell()
        let control = try Worker.Control()
        var thread: PosixThread?
        let driver = try VirtioDriver(queueSizes: FileSystemDevice.queueSizes) { link in
            let device = FileSystemDevice(shared, link, bell: bell, isEnding: { false })
            thread = try? PosixThread(name: "share") { device.work(control) }
            return device
        }
        let seeds = TestExtent.of(UInt64(500), exhaustive: 20_000, total: 1_000_000)
        XCTAssertGreaterThan(try goWild(driver, sizes: [8, 8], seeds: seeds), 10)
        control.end()
        thread?.join()
        XCTAssertEqual(try folder.names(), ["file"])
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
