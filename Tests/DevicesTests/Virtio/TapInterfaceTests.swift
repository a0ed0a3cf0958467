@testable import Devices
import Glibc
@testable import Host
@testable import TestSupport
import XCTest

/// TAP interfaces of a network that is a thread's own, with the host's kernel on the other side.
final class TapInterfaceTests: XCTestCase {
    /// A socket that sends to everybody in the network and hears what is sent to port 4000.
    private static func makeSocket() throws -> Int32 {
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var one: Int32 = 1
        XCTAssertEqual(setsockopt(socket, SOL_SOCKET, SO_BROADCAST, &one, 4), 0)
        XCTAssertEqual(TapNetwork.withAddress(TapNetwork.address) { Int(bind(socket, $0, $1)) }, 0)
        return socket
    }

    private static func broadcast(_ socket: Int32, _ payload: [UInt8]) {
        let sent = TapNetwork.withAddress([10, 9, 9, 255]) { sendto(socket, payload, payload.count, 0, $0, $1) }
        XCTAssertEqual(sent, payload.count)
    }

    /// A frame of UDP to port 4000 of 10.9.9.1, with a checksum over UDP that is wrong, or none.
    private static func frame(_ payload: [UInt8], hasChecksum: Bool) -> [UInt8] {
        let size = UInt16(payload.count)
        var ip: [UInt8] = [0x45, 0, UInt8((size + 28) >> 8), UInt8((size + 28) & 0xff), 0, 0, 0, 0, 64, 17, 0, 0]
        ip += [10, 9, 9, 2, 10, 9, 9, 1]
        var sum = stride(from: 0, to: 20, by: 2).reduce(UInt32(0)) { $0 + UInt32(ip[$1]) << 8 + UInt32(ip[$1 + 1]) }
        sum = (sum & 0xffff) + sum >> 16
        (ip[10], ip[11]) = (~UInt8(sum >> 8 & 0xff), ~UInt8(sum & 0xff))
        let checksum: [UInt8] = hasChecksum ? [0xba, 0xad] : [0, 0]
        let udp: [UInt8] = [0x10, 0, 0x0f, 0xa0, UInt8((size + 8) >> 8), UInt8((size + 8) & 0xff)] + checksum
        return [UInt8](repeating: 0xff, count: 6) + [2, 0, 0, 0, 0, 9] + [8, 0] + ip + udp + payload
    }

    /// Starts the driver, sends a payload, and waits for the frame that ends with it; the kernel sends others, too.
    ///
    /// - Parameter sizes: The buffers of each request.
    /// - Returns: The frame's header.
    private static func header(
        _ bench: NetworkBench, _ socket: Int32, _ payload: [UInt8], sizes: [Int]
    ) throws -> [UInt8] {
        let driver = bench.driver
        try driver.start(sizes: [16, 16])
        var requests = try (0..<8).map { _ in
            try driver.submit(0, readable: [], writable: sizes, notifies: false).buffers
        }
        driver.notify(0)
        broadcast(socket, payload)
        var (frame, missing): ([UInt8], Int) = ([], 0)
        while true {
            let used = try driver.used(0)
            for element in used {
                let bytes = try zip(requests.removeFirst(), sizes).flatMap { try driver.bytes($0, $1) }
                if missing == 0 { (frame, missing) = ([], Int(bytes[10])) }
                frame += bytes.prefix(element.written)
                missing -= 1
                if missing == 0, frame.count > payload.count, Array(frame.suffix(payload.count)) == payload {
                    return Array(frame[..<12])
                }
                requests.append(try driver.submit(0, readable: [], writable: sizes).buffers)
            }
            if used.isEmpty { sched_yield() }
        }
    }

    func testFramesOfAllKinds() throws {
        try TapNetwork.run {
            try TapNetwork.makeInterface(mtu: 2400)
            let socket = try Self.makeSocket()
            defer { close(socket) }
            let offloads: UInt64 = 1 << 0 | 1 << 1 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 12
            let tap = try TapInterface(name: TapNetwork.name)
            XCTAssertEqual(tap.mtu, 2400)
            XCTAssertThrowsError(try TapInterface(name: TapNetwork.name)) {
                XCTAssertEqual($0 as? NetworkError, .refused(TapNetwork.name, ErrorNumber(rawValue: EBUSY)))
            }
            let bench = try NetworkBench(.tap(tap))
            defer { bench.end() }
            XCTAssertEqual(
                bench.driver.read(0x010) & 0xff_ffff & ~offloads, 1 << 3 | 1 << 5 | 1 << 15 | 1 << 16)
            for agreed in tap.hasOffloads ? [0, 1 << 15, offloads | 1 << 15 | 1 << 28 | 1 << 29] : [1 << 15] {
                bench.driver.features = 1 << 32 | agreed
                try bench.driver.start(sizes: [16, 16])
                try Self.checkSending(bench, socket, mayLeaveOutChecksums: agreed & 1 != 0)
                try Self.checkReceiving(bench, socket, merges: agreed & 1 << 15 != 0, hasOffloads: agreed & 2 != 0)
            }
        }
    }

    private static func checkSending(_ bench: NetworkBench, _ socket: Int32, mayLeaveOutChecksums: Bool) throws {
        var received = [UInt8](repeating: 0, count: 4096)
        let payload = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 3) }
        let before = bench.device.counts.framesDropped
        // One whose checksum is still to be made: by the device's header, from byte 34 on, to be put 6 bytes behind that.
        let header: [UInt8] = [1, 0, 0, 0, 0, 0, 34, 0, 6, 0, 0, 0]
        try bench.driver.submit(1, readable: [header, frame(payload + [1], hasChecksum: true)])
        try bench.driver.submit(1, readable: [[UInt8](repeating: 0, count: 12), frame(payload, hasChecksum: false)])
        if mayLeaveOutChecksums {
            XCTAssertEqual(recv(socket, &received, received.count, 0), 1001)
        }
        XCTAssertEqual(recv(socket, &received, received.count, 0), 1000)
        XCTAssertEqual(Array(received[..<1000]), payload)
        XCTAssertEqual(bench.device.counts.framesDropped - before, mayLeaveOutChecksums ? 0 : 1)
    }

    private static func checkReceiving(_ bench: NetworkBench, _ socket: Int32, merges: Bool, hasOffloads: Bool) throws {
        // Into one buffer, and into several.
        for sizes in merges ? [[2500], [100, 300], [700]] : [[2500]] {
            var flags: UInt8
            repeat {
                let payload = (0..<1500).map { _ in UInt8.random(in: 0...255) }
                flags = try header(bench, socket, payload, sizes: sizes)[0]
                // The interface is told what the driver takes on a thread of its own: soon.
            } while hasOffloads && flags == 0
            XCTAssertEqual(flags, hasOffloads ? 1 : 0, "whether the checksum is still to be made")
        }
    }

    func testInterfacesThatCannotBeUsed() throws {
        try TapNetwork.run {
            let tunnels = open("/dev/net/tun", O_RDWR)
            guard tunnels >= 0 else { throw XCTSkip("/dev/net/tun cannot be opened") }
            close(tunnels)
            for name in ["none", "tap%d", "a-name-that-is-too-long"] {
                XCTAssertThrowsError(try TapInterface(name: name)) {
                    XCTAssertEqual($0 as? NetworkError, .noInterface(name))
                }
            }
            XCTAssertThrowsError(try TapInterface(name: "lo")) {
                XCTAssertEqual($0 as? NetworkError, .refused("lo", ErrorNumber(rawValue: EINVAL)))
            }
        }
    }
}
