@testable import Devices
import Foundation
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// Shared folders as devices, by a driver without a guest.
final class FileSystemDeviceTests: XCTestCase {
    /// A shared folder with a driver, and the thread that serves it.
    private final class Bench {
        let driver: VirtioDriver
        let control: Worker.Control
        let thread: PosixThread

        init(_ folder: SharedFolder, tag: String = "work") throws {
            let bell = try Doorbell()
            let device: FileSystemDevice
            (driver, device) = try VirtioDriver.making(
                queueSizes: FileSystemDevice.queueSizes,
                configuration: FileSystemDevice.configuration(tag: Array(tag.utf8))
            ) { link in
                FileSystemDevice(folder, link, bell: bell, isEnding: { false })
            }
            let control = try Worker.Control()
            self.control = control
            thread = try PosixThread(name: "share") { device.work(control) }
            driver.features |= 1 << 28 | 1 << 29
            try driver.start(sizes: [8, 64])
        }

        func end() {
            control.end()
            thread.join()
        }

        /// The bytes of a request.
        func bytes(_ operation: FUSEOperation, node: UInt64 = 1, _ arguments: [UInt8]) -> [UInt8] {
            var builder = ByteBuilder()
            builder.add(UInt32(40 + arguments.count))
            builder.add(operation.rawValue)
            builder.add(UInt64(7))
            builder.add(node)
            builder.add(UInt64(0))
            builder.add(UInt64(0))
            return builder.bytes + arguments
        }

        /// Makes a request and waits for its end.
        ///
        /// - Returns: How many bytes were written, and what stands behind the header of the answer.
        func request(_ queue: Int, _ bytes: [[UInt8]], writable: [Int]) throws -> (written: Int, bytes: [UInt8]) {
            let before = driver.interruptCount
            try driver.wantInterrupt(queue, after: driver.queues[queue].seen)
            let (head, buffers) = try driver.submit(queue, readable: bytes, writable: writable, isIndirect: true)
            while driver.interruptCount == before { sched_yield() }
            let used = try driver.used(queue)
            XCTAssertEqual(used.map(\.head), [head])
            let all = try zip(buffers, writable).flatMap { try driver.bytes($0, $1) }
            return (used.first?.written ?? 0, Array(all.dropFirst(16)))
        }

        func initialize() throws {
            let arguments = FUSEClient.initialize()
            let answer = try request(1, [bytes(.initialize, arguments)], writable: [16, 64])
            XCTAssertEqual(answer.written, 80)
        }
    }

    private func makeBench(_ folder: SharedFolder, tag: String = "work") throws -> Bench {
        let bench = try Bench(folder, tag: tag)
        addTeardownBlock { bench.end() }
        return bench
    }

    func testConfiguration() throws {
        let folder = try makeFolder()
        for tag in ["work", String(repeating: "x", count: 36)] {
            let driver = try makeBench(try SharedFolder(path: folder.path), tag: tag).driver
            XCTAssertEqual(driver.read(0x008), 26)
            XCTAssertEqual(driver.read(0x010) & 0xff_ffff, 0, "no features of its own")
            let bytes = (0..<36).map { UInt8(driver.read(0x100 + $0, .byte)) }
            XCTAssertEqual(bytes, Array(tag.utf8) + [UInt8](repeating: 0, count: 36 - tag.utf8.count))
            XCTAssertEqual(driver.read(0x124), 1, "queues of requests")
            driver.write(0x030, 1)
            XCTAssertEqual(driver.read(0x034), 512)
        }
    }

    func testRequests() throws {
        let folder = try makeFolder()
        let content = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 3) }
        _ = try folder.file("file", content)
        let bench = try makeBench(try SharedFolder(path: folder.path))
        try bench.initialize()
        let entry = try bench.request(
            1, [bench.bytes(.lookup, FUSEClient.name("file"))], writable: [16, 100, 28]
        ).bytes
        let node: UInt64 = entry.littleEndian(at: 0)
        let open = try bench.request(
            1, [bench.bytes(.open, node: node, FUSEClient.words([0, 0]))], writable: [16, 16])
        let handle: UInt64 = open.bytes.littleEndian(at: 0)
        // Header and data in buffers of their own, as Linux has them.
        let read = try bench.request(
            1, [bench.bytes(.read, node: node, FUSEClient.read(handle, at: 0, 8192))], writable: [16, 4096, 4096])
        XCTAssertEqual(read.written, 5016)
        XCTAssertEqual(Array(read.bytes.prefix(5000)), content)
        // The guest forgets by the other queue, which nobody answers.
        let forgotten = try bench.request(
            0, [bench.bytes(.forget, node: node, FUSEClient.numbers([UInt64(1)]))], writable: [])
        XCTAssertEqual(forgotten.written, 0)
        let activity = bench.driver.link.activity
        XCTAssertEqual(activity.servedRequests, 5)
        XCTAssertNil(activity.lastFault)
    }

    func testWrongRequests() throws {
        let folder = try makeFolder()
        for (readable, writable) in [([1, 2, 3], [64]), ([UInt8](repeating: 0, count: 64), [15])] {
            let bench = try makeBench(try SharedFolder(path: folder.path))
            let before = bench.driver.interruptCount
            try bench.driver.submit(1, readable: [readable], writable: writable)
            while bench.driver.interruptCount == before { sched_yield() }
            XCTAssertEqual(bench.driver.link.activity.lastFault, .request)
            XCTAssertTrue(bench.driver.status.contains(.needsReset))
        }
    }

    /// What the host takes its time for, no vCPU waits for: notifications return, and requests wait in their queue.
    func testNobodyWaitsForTheHost() throws {
        let folder = try makeFolder()
        _ = try folder.file("file", [1, 2, 3])
        let (begun, goOn) = (try Doorbell(), try Doorbell())
        var calls = ShareCalls()
        calls.read = { _, _, _, _ in
            begun.ring()
            _ = goOn.wait(timeout: nil)
            return 0
        }
        let bench = try makeBench(try SharedFolder(path: folder.path, isReadOnly: false, calls: calls))
        try bench.initialize()
        let entry = try bench.request(
            1, [bench.bytes(.lookup, FUSEClient.name("file"))], writable: [144]
        ).bytes
        let node: UInt64 = entry.littleEndian(at: 0)
        let handle: UInt64 = try bench.request(
            1, [bench.bytes(.open, node: node, FUSEClient.words([0, 0]))], writable: [32]
        ).bytes.littleEndian(at: 0)
        try bench.driver.submit(
            1, readable: [bench.bytes(.read, node: node, FUSEClient.read(handle, at: 0, 10))], writable: [32])
        XCTAssertTrue(begun.wait(timeout: nil))
        for _ in 0..<3 {
            try bench.driver.submit(1, readable: [bench.bytes(.statistics, [])], writable: [96])
        }
        XCTAssertEqual(try bench.driver.used(1).count, 0)
        goOn.ring()
        var done = 0
        while done < 4 {
            done += try bench.driver.used(1).count
            sched_yield()
        }
    }
}
