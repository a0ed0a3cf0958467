import CKVM
@testable import Devices
import Glibc
@testable import Host
@testable import Memory
@testable import TestSupport
import XCTest

/// Network interfaces by requests, without a guest.
final class NetworkDeviceTests: XCTestCase {
    private static let frame = (0..<60).map { UInt8($0) }
    private static let merges: UInt64 = 1 << 15
    private static let noHeader = [UInt8](repeating: 0, count: 12)

    private func makeBench(features: UInt64 = 0, mtu: UInt16? = nil, sizes: [UInt16] = [16, 16]) throws -> NetworkBench
    {
        let bench = try NetworkBench(mtu: mtu)
        addTeardownBlock { bench.end() }
        bench.driver.features |= features
        try bench.driver.start(sizes: sizes)
        return bench
    }

    func testConfiguration() throws {
        let bench = try makeBench(mtu: 9000)
        // MAC, MTU, MRG_RXBUF, STATUS.
        XCTAssertEqual(bench.driver.read(0x010) & 0xff_ffff, 1 << 5 | 1 << 3 | 1 << 15 | 1 << 16)
        XCTAssertEqual((0..<6).map { bench.driver.read(0x100 + $0, .byte) }, [2, 0x4d, 0x56, 0x4d, 0, 1])
        XCTAssertEqual(bench.driver.read(0x106, .word), 1, "connected")
        XCTAssertEqual(bench.driver.read(0x10a, .word), 9000)
        XCTAssertEqual(try makeBench().driver.read(0x010) & 0xff_ffff, 1 << 5 | 1 << 15 | 1 << 16)
    }

    func testAddresses() {
        XCTAssertEqual(MACAddress("02:00:5e:10:00:fF")?.bytes, [2, 0, 0x5e, 0x10, 0, 0xff])
        for wrong in [
            "", "02:00:5e:10:00", "02:00:5e:10:00:ff:01", "2:0:5e:10:0:ff", "03:00:5e:10:00:ff",
            "00:00:00:00:00:00", "02:00:5e:10:00:+f", "02-00-5e-10-00-ff", "02:00:5e:10:00:fff",
        ] {
            XCTAssertNil(MACAddress(wrong), wrong)
        }
        let (first, second) = (MACAddress(of: "tap0"), MACAddress(of: "tap1"))
        XCTAssertNotEqual(first, second)
        for address in [first, second, .ofGuest] {
            XCTAssertEqual(address.bytes[0] & 3, 2, "one, locally administered")
        }
    }

    func testFramesFromTheGuest() throws {
        for features: UInt64 in [0, 1 << 28 | 1 << 29] {
            let bench = try makeBench(features: features)
            let parts = [Array((Self.noHeader + Self.frame)[..<20]), Array((Self.noHeader + Self.frame)[20...])]
            try bench.driver.submit(1, readable: parts, isIndirect: features != 0)
            XCTAssertEqual(try bench.takeFrame(), Self.frame)
            bench.waitUntil { try bench.driver.used(1).map(\.written) == [0] }
            XCTAssertEqual(bench.device.counts.framesFromGuest, 1)
            XCTAssertEqual(bench.driver.link.activity.bytesFromGuest, 72)
        }
    }

    func testFramesToTheGuest() throws {
        for features: UInt64 in [0, 1 << 28 | 1 << 29, Self.merges] {
            let bench = try makeBench(features: features)
            let (_, buffers) = try bench.driver.submit(
                0, readable: [], writable: [12, 20, 100], isIndirect: features & 1 << 28 != 0)
            try bench.give(Self.frame)
            bench.waitUntil { try bench.driver.used(0).map(\.written) == [72] }
            XCTAssertEqual(try bench.driver.bytes(buffers[0], 12), [UInt8](repeating: 0, count: 10) + [1, 0])
            XCTAssertEqual(
                try bench.driver.bytes(buffers[1], 20) + bench.driver.bytes(buffers[2], 40), Self.frame)
            XCTAssertEqual(bench.device.counts.framesToGuest, 1)
        }
    }

    /// A frame takes as many requests as it needs, which the driver sees all at once.
    func testMergedBuffers() throws {
        let bench = try makeBench(features: Self.merges)
        let frame = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let buffers = try (0..<3).flatMap { _ in
            try bench.driver.submit(0, readable: [], writable: [400], notifies: false).buffers
        }
        bench.driver.notify(0)
        try bench.give(frame)
        bench.waitUntil { bench.driver.link.activity.servedRequests == 1 }
        XCTAssertEqual(try bench.driver.used(0).map(\.written), [400, 400, 212])
        XCTAssertEqual(try bench.driver.bytes(buffers[0], 12), [UInt8](repeating: 0, count: 10) + [3, 0])
        let pieces = try zip(buffers, [400, 400, 212]).flatMap { try bench.driver.bytes($0, $1) }
        XCTAssertEqual(Array(pieces.dropFirst(12)), frame)
    }

    /// What the guest has no buffers for waits, and comes in order when there are.
    func testFramesWaitForBuffers() throws {
        for features: UInt64 in [Self.merges, Self.merges | 1 << 29] {
            let bench = try makeBench(features: features)
            // Enough for the first, and a part of the second.
            for size in [72, 100] { try bench.driver.submit(0, readable: [], writable: [size]) }
            let second = (0..<200).map { UInt8($0) }
            try bench.give(Self.frame)
            try bench.give(second)
            try bench.give(Self.frame)
            bench.waitUntil { try bench.driver.used(0).map(\.written) == [72] }
            XCTAssertEqual(try bench.driver.used(0), [])
            let (_, buffers) = try bench.driver.submit(0, readable: [], writable: [112])
            bench.waitUntil { try bench.driver.used(0).map(\.written) == [100, 112] }
            XCTAssertEqual(try bench.driver.bytes(buffers[0], 112), Array(second[88...]))
            try bench.driver.submit(0, readable: [], writable: [72])
            bench.waitUntil { try bench.driver.used(0).map(\.written) == [72] }
            XCTAssertEqual(bench.device.counts.framesDropped, 0)
        }
    }

    /// Without merging, a frame that is too large for a buffer is lost, and so is one for which all of them are too small.
    func testFramesThatAreTooLarge() throws {
        for features: UInt64 in [0, Self.merges] {
            let bench = try makeBench(features: features, sizes: [2, 16])
            for _ in 0..<2 { try bench.driver.submit(0, readable: [], writable: [72], notifies: false) }
            bench.driver.notify(0)
            try bench.give([UInt8](repeating: 1, count: 200))
            try bench.give(Self.frame)
            bench.waitUntil { try bench.driver.used(0).map(\.written) == [72] }
            XCTAssertEqual(bench.device.counts.framesDropped, 1)
        }
    }

    /// What is not a frame, or asks for what was not agreed upon, goes nowhere; its buffers come back.
    func testFramesOfTheGuestThatAreDropped() throws {
        let bench = try makeBench()
        let headers: [[UInt8]] = [
            // A checksum to be made; segments of IPv4, IPv6, UDP; with ECN.
            [1, 0], [0, 1], [0, 4], [0, 3], [0, 0x81],
        ]
        for header in headers {
            try bench.driver.submit(1, readable: [header + [UInt8](repeating: 0, count: 10) + Self.frame])
        }
        try bench.driver.submit(1, readable: [Self.noHeader + Self.frame[..<13]])
        try bench.driver.submit(1, readable: [Self.noHeader])
        try bench.driver.submit(
            1, readable: [Self.noHeader + [UInt8](repeating: 0, count: NetworkFrame.maximumSize + 1)])
        try bench.driver.submit(1, readable: [Self.noHeader + Self.frame])
        XCTAssertEqual(try bench.takeFrame(), Self.frame)
        bench.waitUntil { bench.device.counts.framesDropped == 8 }
        bench.waitUntil { try bench.driver.used(1).count == 9 || bench.driver.queues[1].seen == 9 }
    }

    /// Lengths that cannot be: too short for a frame; and too long, after which nobody knows where the next one starts.
    func testFramesOfTheOtherSideThatAreNone() throws {
        let bench = try makeBench()
        for _ in 0..<3 { try bench.driver.submit(0, readable: [], writable: [200]) }
        try bench.give([UInt8](repeating: 1, count: 13))
        try bench.give([])
        try bench.give(Self.frame)
        bench.waitUntil { try bench.driver.used(0).map(\.written) == [72] }
        XCTAssertEqual(bench.device.counts.framesDropped, 2)
        try bench.giveBytes([0, 1, 0, 0x12, 1, 2, 3])
        bench.waitUntil { bench.driver.read(0x106, .word) == 0 }
        XCTAssertEqual(bench.driver.read(0x060) & 2, 2, "the driver is told that the configuration has changed")
    }

    func testRequestsThatAreNone() throws {
        for (queue, readable, writable): (Int, [[UInt8]], [Int]) in [
            (1, [[UInt8](repeating: 0, count: 11)], []), (1, [], [100]), (0, [], [11]), (0, [[1, 2, 3]], []),
        ] {
            let bench = try makeBench()
            try bench.driver.submit(queue, readable: readable, writable: writable)
            try bench.give(Self.frame)
            bench.waitUntil { bench.driver.status.contains(.needsReset) }
            XCTAssertEqual(bench.driver.link.activity.lastFault, .request)
            try bench.driver.start(sizes: [16, 16])
            try bench.driver.submit(1, readable: [Self.noHeader + Self.frame])
            XCTAssertEqual(try bench.takeFrame(), Self.frame)
        }
    }

    /// A frame that the other side took a part of is finished before the next one, which waits in the queue; also when the
    /// driver has gone meanwhile.
    func testFullSockets() throws {
        let bench = try makeBench()
        let large = (0..<40_000).map { UInt8(truncatingIfNeeded: $0) }
        for _ in 0..<2 { try bench.driver.submit(1, readable: [Self.noHeader + large]) }
        XCTAssertEqual(try bench.takeFrame(), large)
        XCTAssertEqual(try bench.takeFrame(), large)
        for _ in 0..<2 { try bench.driver.submit(1, readable: [Self.noHeader + large]) }
        bench.waitUntil { bench.device.counts.framesFromGuest == 3 }
        bench.driver.write(0x070, 0)
        try bench.driver.start(sizes: [16, 16])
        try bench.driver.submit(1, readable: [Self.noHeader + Self.frame])
        XCTAssertEqual(try bench.takeFrame(), large)
        XCTAssertEqual(try bench.takeFrame(), Self.frame)
    }

    func testTheOtherSideGoes() throws {
        let bench = try makeBench()
        bench.closePeer()
        bench.waitUntil { bench.driver.read(0x106, .word) == 0 }
        try bench.driver.submit(1, readable: [Self.noHeader + Self.frame])
        bench.waitUntil { try bench.driver.used(1).map(\.written) == [0] }
        XCTAssertEqual(bench.device.counts.framesDropped, 1)
    }

    func testSeveralInterfaces() throws {
        var attachments = try Attachments.forTests()
        for _ in 0..<2 {
            let ends = try NetworkBench.socketPair()
            close(ends.peer)
            try VirtioNetwork(.socket(FrameSocket(takingOver: ends.device))).attach(to: &attachments)
        }
        XCTAssertEqual(attachments.virtioDevices.map(\.link.name), ["virtio net 0", "virtio net 1"])
        XCTAssertEqual(
            attachments.workers.map(\.name), ["net 0 in", "net 0 out", "net 1 in", "net 1 out"])
    }
}

/// A network device with a driver, its threads, and the other side of its socket.
final class NetworkBench {
    let driver: VirtioDriver
    let device: NetworkDevice
    private var peer: Int32
    private let control: Worker.Control
    private let threads: [PosixThread]

    /// Two sockets, of which the device's takes few bytes at once.
    static func socketPair() throws -> (device: Int32, peer: Int32) {
        var (ends, size): ([Int32], Int32) = ([0, 0], 4608)
        XCTAssertEqual(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends), 0)
        XCTAssertEqual(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size)), 0)
        return (ends[0], ends[1])
    }

    convenience init(mtu: UInt16? = nil) throws {
        let ends = try Self.socketPair()
        try self.init(.socket(FrameSocket(takingOver: ends.device, mtu: mtu)), peer: ends.peer)
    }

    init(_ backend: NetworkBackend, peer: Int32 = -1) throws {
        let bells = try NetworkDevice.Bells()
        let device: NetworkDevice
        (driver, device) = try VirtioDriver.making(
            queueSizes: NetworkDevice.queueSizes,
            configuration: NetworkDevice.configuration(backend, backend.address)
        ) { link in
            NetworkDevice(backend, address: backend.address, link, bells: bells, isEnding: { false })
        }
        let control = try Worker.Control()
        (self.device, self.control, self.peer) = (device, control, peer)
        threads = [
            try PosixThread(name: "in") { device.receive(control) },
            try PosixThread(name: "out") { device.send(control) },
        ]
    }

    func end() {
        control.end()
        for thread in threads { thread.join() }
        closePeer()
    }

    func closePeer() {
        if peer >= 0 { close(peer) }
        peer = -1
    }

    /// Waits for what the threads do.
    func waitUntil(_ condition: () throws -> Bool) {
        do {
            while try !condition() { sched_yield() }
        } catch {
            XCTFail("\(error)")
        }
    }

    /// Sends the guest a frame.
    func give(_ frame: [UInt8]) throws {
        var length = ByteBuilder()
        length.add(UInt32(frame.count).bigEndian)
        try giveBytes(length.bytes + frame)
    }

    func giveBytes(_ bytes: [UInt8]) throws {
        XCTAssertEqual(write(peer, bytes, bytes.count), bytes.count)
    }

    /// Waits for a frame of the guest's.
    func takeFrame() throws -> [UInt8] {
        let length = takeBytes(4).reduce(0) { $0 << 8 | Int($1) }
        return takeBytes(length)
    }

    private func takeBytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        XCTAssertEqual(recv(peer, &bytes, count, Int32(MSG_WAITALL)), count)
        return bytes
    }
}
