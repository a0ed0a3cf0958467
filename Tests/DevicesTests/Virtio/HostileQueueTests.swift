@testable import Devices
import Glibc
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// Every virtio device with a driver that has gone wild: features, registers, rings, descriptors and requests of any value
/// at any moment; for half of the queues another vCPU does the same at the same time.
///
/// The guest's memory lies between pages that nothing can touch, so that an access outside of it ends the process. What is
/// wrong with the process's own memory, the address sanitizer finds.
final class HostileQueueTests: XCTestCase {
    /// A device, and what a hostile driver knows of it.
    private struct Bench {
        let driver: VirtioDriver
        /// How many queues there are.
        let queueCount: Int
        /// A request for a queue that goes far: what the device reads, and the sizes of what it writes.
        let request: (Int, inout SeededGenerator) -> (readable: [[UInt8]], writable: [Int])
        /// What the device's own threads would do.
        var work: () throws -> Void = {}
        /// What comes from outside.
        var happen: (inout SeededGenerator) throws -> Void = { _ in }
        /// What is looked at now and then.
        var check: () throws -> Void = {}
        /// How many times a queue is set up and goes wild.
        var count = TestExtent.of(UInt64(1000), exhaustive: 20_000, total: 1_000_000)
    }

    private static let queueSize: UInt16 = 8
    /// How often ``Bench/check`` is called.
    private static let checkInterval: UInt64 = 500

    private static func bytes(_ limit: Int, _ random: inout SeededGenerator) -> [UInt8] {
        (0..<Int(random.next() % UInt64(limit))).map { _ in UInt8(random.next() & 0xff) }
    }

    // MARK: One vCPU

    /// Sets the device up, mostly as it can be, and makes requests that are right to begin with.
    private static func begin(_ bench: Bench, offered: UInt64, _ random: inout SeededGenerator) throws {
        let driver = bench.driver
        driver.features = random.next() & 15 == 0 ? random.next() : 1 << 32 | offered & random.next()
        try driver.startAnyhow(sizes: Array(repeating: queueSize, count: bench.queueCount))
        for queue in 0..<bench.queueCount {
            for _ in 0..<2 {
                let request = bench.request(queue, &random)
                try driver.submit(
                    queue, readable: request.readable, writable: request.writable,
                    isIndirect: driver.features & 1 << 28 != 0 && random.next() & 1 == 0)
            }
        }
    }

    /// Values at which something ends.
    private static let edges: [UInt64] = [
        0, 1, 3, 7, 8, 15, 16, 0xffff, 0x8_0000, 0xf_fff0, 0x10_0000, 0xffff_ffff, 1 << 63, .max,
    ]

    private static func value(_ random: inout SeededGenerator) -> UInt64 {
        random.next() & 1 == 0 ? edges[Int(random.next() % UInt64(edges.count))] : random.next()
    }

    /// One hostile step: something of a queue is changed, or a register is.
    private static func mutate(_ bench: Bench, _ random: inout SeededGenerator) throws {
        let (driver, word) = (bench.driver, random.next())
        let number = Int(word >> 56) % bench.queueCount
        let (queue, value) = (driver.queues[number], value(&random))
        switch word & 15 {
        case 0...4:
            // A field of a descriptor.
            let field = [0, 8, 12, 14][Int(word >> 10 & 3)] + 16 * (word >> 12 & 7)
            let place = GuestPhysicalAddress(queue.descriptors + UInt64(field))
            switch word >> 10 & 3 {
            case 0: try driver.memory.store(value, at: place)
            case 1: try driver.memory.store(UInt32(truncatingIfNeeded: value), at: place)
            default: try driver.memory.store(UInt16(truncatingIfNeeded: value), at: place)
            }
        case 5, 6:
            let place = GuestPhysicalAddress(queue.driver + (word >> 8) % 24)
            try driver.memory.store(UInt8(truncatingIfNeeded: word >> 16), at: place)
        case 7:
            // Requests, and tables of descriptors.
            let place = GuestPhysicalAddress(VirtioDriver.buffers + (word >> 8 & 0x7fc))
            try driver.memory.store(UInt32(truncatingIfNeeded: value), at: place)
        case 8...10: try driver.publish(number, head: UInt16(word >> 8 & 15))
        case 11: driver.write(word >> 8 & 0xfc, UInt64(UInt32(truncatingIfNeeded: value)))
        case 12: driver.write(VirtioRegister.status, word >> 8 & 0xcf)
        case 13: move(number, of: driver, value, at: word >> 8)
        case 14: driver.write(word >> 8 & 0x1ff, value, [.byte, .word, .long, .quad][Int(word >> 20 & 3)])
        default: _ = driver.read(word >> 8 & 0x1ff, [.byte, .word, .long, .quad][Int(word >> 20 & 3)])
        }
        driver.notify(number)
    }

    /// Puts a queue, or a part of it, elsewhere.
    private static func move(_ queue: Int, of driver: VirtioDriver, _ value: UInt64, at word: UInt64) {
        let registers = [
            VirtioRegister.queueSize, VirtioRegister.queueDescriptorsLow, VirtioRegister.queueDescriptorsLow + 4,
            VirtioRegister.queueDriverLow, VirtioRegister.queueDriverLow + 4, VirtioRegister.queueDeviceLow,
            VirtioRegister.queueDeviceLow + 4,
        ]
        driver.write(VirtioRegister.queueSelector, UInt64(queue))
        driver.write(VirtioRegister.queueReady, 0)
        driver.write(registers[Int(word % UInt64(registers.count))], value & 0xffff_ffff)
        driver.write(VirtioRegister.queueReady, 1)
    }

    // MARK: Two vCPUs

    /// A vCPU that changes at random what the other one uses.
    private struct OtherVCPU: Sendable {
        let memory: GuestMemory
        let write: @Sendable (UInt64, AccessWidth, UInt64) -> Void
        let queueCount: Int

        func step(_ word: UInt64) throws {
            let base = 0x4000 * (word >> 56 % UInt64(queueCount) + 1)
            let queue = VirtioDriver.Queue(size: HostileQueueTests.queueSize, base: base)
            let value = UInt32(truncatingIfNeeded: word >> 32)
            switch word & 15 {
            case 0...4: try memory.store(value, at: GuestPhysicalAddress(queue.descriptors + word >> 8 % 0x80))
            case 5: try memory.store(UInt16(word >> 32 & 15), at: GuestPhysicalAddress(queue.driver + 2))
            case 6: try memory.store(UInt16(word >> 32 & 7), at: GuestPhysicalAddress(queue.driver + word >> 8 & 30))
            case 7: try memory.store(value, at: GuestPhysicalAddress(queue.device + word >> 8 & 0x7c))
            case 8...10: try memory.store(value, at: GuestPhysicalAddress(VirtioDriver.buffers + word >> 8 & 0x7fc))
            case 11, 12: write(VirtioRegister.queueNotify, .long, word >> 56 % UInt64(queueCount))
            case 13: write(VirtioRegister.status, .long, word >> 32 & 0xff)
            case 14: write(VirtioRegister.queueReady, .long, word >> 32 & 1)
            default: write(word >> 8 & 0xfc, .long, UInt64(value))
            }
        }
    }

    /// Does something while another vCPU runs.
    private static func racing(_ bench: Bench, _ body: () throws -> Void) throws {
        let other = OtherVCPU(
            memory: bench.driver.memory, write: bench.driver.writeRegister, queueCount: bench.queueCount)
        let isOver = Atomic(false)
        let thread = try PosixThread(name: "vCPU 1") {
            var random = SeededGenerator(seed: 1)
            while !isOver.load(ordering: .relaxed) {
                try? other.step(random.next())
                // Most steps of the other vCPU are over before the next one here.
                for _ in 0..<random.next() & 0xfff where isOver.load(ordering: .relaxed) { break }
            }
        }
        defer {
            isOver.store(true, ordering: .relaxed)
            thread.join()
        }
        try body()
    }

    /// Lets the driver go wild.
    private static func goWild(_ bench: Bench, _ name: String) throws {
        let (before, start) = (try ProcessStatus(), ContinuousClock.now)
        let (driver, activity) = (bench.driver, bench.driver.link.activity)
        driver.write(VirtioRegister.deviceFeaturesSelector, 0)
        let offered = driver.read(VirtioRegister.deviceFeatures)
        let count = bench.count
        var faults = 0
        func run(_ seeds: Range<UInt64>) throws {
            for seed in seeds {
                var random = SeededGenerator(seed: seed)
                try begin(bench, offered: offered, &random)
                for _ in 0..<3 {
                    try bench.happen(&random)
                    try bench.work()
                    for _ in 0..<2 { try mutate(bench, &random) }
                }
                try bench.work()
                if driver.status.contains(.needsReset) { faults += 1 }
                if seed % checkInterval == 0 { try bench.check() }
            }
        }
        try run(0..<count / 2)
        let alone = (faults: faults, requests: activity.servedRequests)
        try racing(bench) { try run(count / 2..<count) }
        let all = (faults: faults, requests: activity.servedRequests)
        driver.write(VirtioRegister.status, 0)
        try bench.work()
        try bench.check()
        // They go far, and most of them wrong; with another vCPU as well.
        XCTAssertGreaterThan(UInt64(alone.faults), count / 10, name)
        XCTAssertGreaterThan(alone.requests, count / 4, name)
        XCTAssertGreaterThan(UInt64(all.faults - alone.faults), count / 20, name)
        XCTAssertGreaterThan(all.requests - alone.requests, count / 20, name)
        let after = try ProcessStatus()
        // The test's own may come and go.
        XCTAssertLessThan(after.descriptors, before.descriptors + 10, name)
        TestExtent.report(
            "\(count) queues of \(name) in \(start.duration(to: .now)), \(faults) faults, \(all.requests) requests, "
                + "resident \(before.residentKiB) to \(after.residentKiB) KiB")
    }

    // MARK: The devices

    func testEntropy() throws {
        try TestBed.skipWhereEmulated()
        let driver = try VirtioDriver(queueSizes: EntropyDevice.queueSizes, make: EntropyDevice.init)
        try Self.goWild(
            Bench(driver: driver, queueCount: 1) { _, random in ([], [1 + Int(random.next() % 600)]) }, "entropy")
    }

    func testConsole() throws {
        try TestBed.skipWhereEmulated()
        let written = Atomic(0)
        let size = ConsoleSize.Size(columns: 80, rows: 25)
        let (driver, console) = try VirtioDriver.making(
            queueSizes: VirtioConsole.queueSizes, configuration: VirtioConsole.configuration(size)
        ) { link in
            VirtioConsole(link, size: size, write: { written.add($0.count, ordering: .relaxed) }, roomToReceive: {})
        }
        var bench = Bench(driver: driver, queueCount: VirtioConsole.queueSizes.count) {
            queue, random -> (readable: [[UInt8]], writable: [Int]) in
            switch queue {
            case 0, 2: return ([], [1 + Int(random.next() % 100)])
            case 1: return ([[1] + Self.bytes(40, &random)], [])
            default:
                // The port, what happens to it, a value. Source: virtio 1.2, section 5.3.6.2.
                let numbers = [random.next() & 1, random.next() & 7, random.next() & 1].map(UInt8.init)
                return ([[numbers[0], 0, 0, 0, numbers[1], 0, numbers[2], 0]], [])
            }
        }
        bench.happen = { random in
            let bytes = Self.bytes(200, &random)
            XCTAssertLessThanOrEqual(console.isReadyToReceive() ? console.receive(bytes[...]) : 0, bytes.count)
        }
        try Self.goWild(bench, "console")
        XCTAssertGreaterThan(written.load(ordering: .relaxed), 0)
    }

    func testBlock() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let path = try folder.file("disk", [UInt8](repeating: 0, count: 16 * 512))
        // No flush waits for the host's disk.
        var calls = DiskCalls()
        calls.flush = { _ in 0 }
        let disk = try Disk(path: path, isReadOnly: false, calls: calls)
        let (bell, over) = (try Doorbell(), try Worker.Control())
        over.end()
        let (driver, device) = try VirtioDriver.making(
            queueSizes: BlockDevice.queueSizes, configuration: BlockDevice.configuration(of: disk)
        ) { link in
            BlockDevice(disk, identity: "disk", link, bell: bell, isEnding: { false })
        }
        var bench = Bench(driver: driver, queueCount: 1, request: Self.diskRequest)
        bench.work = { device.work(over) }
        bench.check = { XCTAssertEqual(try folder.bytes("disk").count, 16 * 512, "no disk grows") }
        try Self.goWild(bench, "block")
    }

    private static func diskRequest(
        _ queue: Int, _ random: inout SeededGenerator
    ) -> (readable: [[UInt8]], writable: [Int]) {
        let operation = [0, 1, 4, 8, 11, 13, 0, 1][Int(random.next() & 7)] as UInt8
        let header = [operation] + [0, 0, 0, 0, 0, 0, 0] + [UInt8(random.next() & 15)] + [0, 0, 0, 0, 0, 0, 0]
        let size = 512 * (1 + Int(random.next() & 3))
        switch operation {
        case 0: return ([header], [size, 1])
        case 1: return ([header, [UInt8](repeating: 7, count: size)], [1])
        case 8: return ([header], [20, 1])
        case 11, 13:
            // Stretches: a sector, how many, flags.
            let stretch = [
                UInt8(random.next() & 15), 0, 0, 0, 0, 0, 0, 0, UInt8(random.next() & 7), 0, 0, 0, 0, 0, 0, 0,
            ]
            return ([header, stretch], [1])
        default: return ([header], [1])
        }
    }

    func testNetworkBySocket() throws {
        try TestBed.skipWhereEmulated()
        var ends: [Int32] = [-1, -1]
        XCTAssertEqual(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends), 0)
        let peer = ends[1]
        defer { close(peer) }
        try Self.network(.socket(FrameSocket(takingOver: ends[0], mtu: 1500)), "a network by a socket") { random in
            // The other side takes everything, and sends a frame when the device has taken the last.
            var taken = [UInt8](repeating: 0, count: 1 << 16)
            while recv(peer, &taken, taken.count, Int32(MSG_DONTWAIT)) > 0 {}
            var waiting: Int32 = 0
            // SIOCOUTQ. Source: Linux, include/uapi/linux/sockios.h.
            guard ioctl(peer, 0x5411, &waiting) == 0, waiting == 0 else { return }
            let size = 14 + Int(random.next() % (random.next() & 7 == 0 ? 5000 : 100))
            let frame = [0, 0, UInt8(size >> 8), UInt8(size & 0xff)] + [UInt8](repeating: 5, count: size)
            XCTAssertEqual(send(peer, frame, frame.count, Int32(MSG_DONTWAIT)), frame.count)
        }
    }

    func testNetworkByTAP() throws {
        try TestBed.skipWhereEmulated()
        try TapNetwork.run {
            try TapNetwork.makeInterface(mtu: 2400)
            let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            defer { close(socket) }
            var one: Int32 = 1
            XCTAssertEqual(setsockopt(socket, SOL_SOCKET, SO_BROADCAST, &one, 4), 0)
            try Self.network(.tap(TapInterface(name: TapNetwork.name)), "a network by TAP") { random in
                let payload = [UInt8](repeating: 5, count: Int(random.next() % 2300))
                _ = TapNetwork.withAddress([10, 9, 9, 255]) {
                    sendto(socket, payload, payload.count, Int32(MSG_DONTWAIT), $0, $1)
                }
            }
        }
    }

    private static func network(
        _ backend: NetworkBackend, _ name: String, _ happen: @escaping (inout SeededGenerator) throws -> Void
    ) throws {
        let (bells, over) = (try NetworkDevice.Bells(), try Worker.Control())
        over.end()
        let (driver, device) = try VirtioDriver.making(
            queueSizes: NetworkDevice.queueSizes,
            configuration: NetworkDevice.configuration(backend, backend.address)
        ) { link in
            NetworkDevice(backend, address: backend.address, link, bells: bells, isEnding: { false })
        }
        var bench = Bench(driver: driver, queueCount: 2) { queue, random in
            if queue == 0 { return ([], [12, 60 + Int(random.next() % 1500)]) }
            // Flags, the kind of segments, the size of headers and segments, where a checksum goes.
            var header = [UInt8](repeating: 0, count: 12)
            if random.next() & 3 == 0 { header = header.map { _ in UInt8(random.next() & 7) } }
            let frame = [UInt8](repeating: 0xff, count: 6) + [2, 0, 0, 0, 0, 9, 8, 0] + Self.bytes(200, &random)
            return ([header, frame], [])
        }
        // Half by each of two kinds.
        bench.count /= 2
        bench.happen = happen
        var (receiver, transmitter) = (
            NetworkReceiver(backend, device.counts), NetworkTransmitter(backend, device.counts)
        )
        bench.work = {
            device.start()
            device.send(over, by: &transmitter)
            device.receive(over, by: &receiver)
        }
        try goWild(bench, name)
        XCTAssertGreaterThan(device.counts.framesFromGuest, bench.count / 20)
        XCTAssertGreaterThan(device.counts.framesToGuest, bench.count / 20)
    }

    func testSharedFolder() throws {
        try TestBed.skipWhereEmulated()
        let folder = try ShareEscapeTests.Bench(try makeFolder())
        // What a guest writes takes no more room on the disk than itself, and no flush waits for it.
        var calls = ShareCalls()
        calls.flush = { _, _ in 0 }
        calls.allocate = { _, _, _, _ in -EOPNOTSUPP }
        let shared = try SharedFolder(path: folder.shared, isReadOnly: false, calls: calls)
        let (bell, over) = (try Doorbell(), try Worker.Control())
        over.end()
        let (driver, device) = try VirtioDriver.making(
            queueSizes: FileSystemDevice.queueSizes, configuration: FileSystemDevice.configuration(tag: [1])
        ) { link in
            FileSystemDevice(shared, link, bell: bell, isEnding: { false })
        }
        var bench = Bench(driver: driver, queueCount: 2, request: Self.fileRequest)
        bench.work = { device.work(over) }
        bench.check = {
            try folder.check()
            try folder.clear()
        }
        try Self.goWild(bench, "a shared folder")
    }

    private static func fileRequest(
        _ queue: Int, _ random: inout SeededGenerator
    ) -> (readable: [[UInt8]], writable: [Int]) {
        // FORGET and its like have no answer; now and then the guest begins anew. Source: FUSE, fuse_opcode.
        let operation =
            random.next() & 15 == 0 ? 26 : queue == 0 ? [2, 36, 42][Int(random.next() % 3)] : random.next() % 54
        let arguments = ShareEscapeTests.arguments(operation, random.next() & 7, &random)
        var builder = ByteBuilder()
        builder.add(UInt32(40 + arguments.count))
        builder.add(UInt32(operation))
        builder.add(random.next())
        builder.add(1 + random.next() & 3)
        for word: UInt32 in [1000, 1000, 42, 0] { builder.add(word) }
        return ([builder.bytes] + (arguments.isEmpty ? [] : [arguments]), [16, 1 + Int(random.next() % 9000)])
    }
}
