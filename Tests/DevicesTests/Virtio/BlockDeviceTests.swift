import CKVM
@testable import Devices
import Glibc
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// Disks by requests, without a guest.
final class BlockDeviceTests: XCTestCase {
    /// A disk with a driver, and the thread that serves it.
    private final class Bench {
        let driver: VirtioDriver
        let control: Worker.Control
        let thread: PosixThread

        init(_ disk: Disk, features: UInt64 = 0) throws {
            let bell = try Doorbell()
            let device: BlockDevice
            (driver, device) = try VirtioDriver.making(
                queueSizes: BlockDevice.queueSizes, configuration: BlockDevice.configuration(of: disk)
            ) { link in
                BlockDevice(disk, identity: "disk", link, bell: bell, isEnding: { false })
            }
            let control = try Worker.Control()
            self.control = control
            thread = try PosixThread(name: "disk") { device.work(control) }
            driver.features |= features
            try driver.start(sizes: [64])
        }

        func end() {
            control.end()
            thread.join()
        }

        /// Makes a request and waits for its end.
        ///
        /// - Returns: Its status, and what was read.
        func request(
            _ type: UInt32, sector: UInt64 = 0, data: [[UInt8]] = [], reads: [Int] = [], isIndirect: Bool = false
        ) throws -> (status: UInt8, bytes: [UInt8]) {
            var header = ByteBuilder()
            header.add(type)
            header.add(UInt32(0))
            header.add(sector)
            let before = driver.interruptCount
            try driver.wantInterrupt(0, after: driver.queues[0].seen)
            let (head, buffers) = try driver.submit(
                0, readable: [header.bytes] + data, writable: reads + [1], isIndirect: isIndirect)
            while driver.interruptCount == before { sched_yield() }
            let used = try driver.used(0)
            XCTAssertEqual(used.map(\.head), [head])
            let bytes = try zip(buffers, reads + [1]).flatMap { try driver.bytes($0, $1) }
            return (bytes[bytes.count - 1], Array(bytes.dropLast()))
        }
    }

    private func makeBench(_ disk: Disk, features: UInt64 = 0) throws -> Bench {
        let bench = try Bench(disk, features: features)
        addTeardownBlock { bench.end() }
        return bench
    }

    private static let pattern = (0..<4096).map { UInt8(truncatingIfNeeded: $0 * 7) }

    func testConfiguration() throws {
        let folder = try makeFolder()
        let disk = try Disk(path: try folder.file("disk", Self.pattern + [1, 2, 3]))
        let bench = try makeBench(disk)
        XCTAssertEqual(bench.driver.read(0x100, .quad), 8, "sectors; what is left over is not the guest's")
        XCTAssertEqual(bench.driver.read(0x10c), 254)
        XCTAssertEqual(bench.driver.read(0x114), 512)
        // SEG_MAX, BLK_SIZE, FLUSH, WRITE_ZEROES, and DISCARD where the file system can.
        let features = bench.driver.read(0x010)
        XCTAssertEqual(features & 0xff_ffff & ~(1 << 13), 1 << 2 | 1 << 6 | 1 << 9 | 1 << 14)
        XCTAssertEqual(features & 1 << 13 != 0, disk.punchesHoles)
        let copy = try Disk(path: try folder.file("copy", Self.pattern), isReadOnly: true)
        XCTAssertEqual(try makeBench(copy).driver.read(0x010) & 0xff_ffff, 1 << 2 | 1 << 5 | 1 << 6 | 1 << 9)
    }

    func testReadsAndWrites() throws {
        let folder = try makeFolder()
        let path = try folder.file("disk", Self.pattern)
        for features: UInt64 in [0, 1 << 28 | 1 << 29] {
            let bench = try Bench(try Disk(path: path), features: features)
            let isIndirect = features != 0
            let read = try bench.request(0, sector: 1, reads: [100, 924], isIndirect: isIndirect)
            XCTAssertEqual(read.status, 0)
            XCTAssertEqual(read.bytes, Array(Self.pattern[512..<1536]))
            let data = [[UInt8](repeating: 1, count: 300), [UInt8](repeating: 2, count: 212)]
            XCTAssertEqual(try bench.request(1, sector: 7, data: data, isIndirect: isIndirect).status, 0)
            XCTAssertEqual(try bench.request(4).status, 0)
            bench.end()
            XCTAssertEqual(
                try folder.bytes("disk"), Array(Self.pattern[..<3584]) + data.flatMap(\.self), "\(features)")
        }
    }

    func testIdentity() throws {
        let bench = try makeBench(try Disk(path: try makeFolder().file("disk", Self.pattern)))
        let (status, bytes) = try bench.request(8, reads: [20])
        XCTAssertEqual(status, 0)
        XCTAssertEqual(bytes, Array("disk".utf8) + [UInt8](repeating: 0, count: 16))
        XCTAssertEqual(try bench.request(8, reads: [19]).status, 1)
    }

    func testWhatIsNotThere() throws {
        let bench = try makeBench(try Disk(path: try makeFolder().file("disk", Self.pattern)))
        XCTAssertEqual(try bench.request(0, sector: 8, reads: [512]).status, 1)
        XCTAssertEqual(try bench.request(0, sector: 7, reads: [1024]).status, 1)
        XCTAssertEqual(try bench.request(0, sector: .max, reads: [512]).status, 1)
        XCTAssertEqual(try bench.request(0, sector: 0, reads: [511]).status, 1)
        XCTAssertEqual(try bench.request(1, sector: 8, data: [[UInt8](repeating: 0, count: 512)]).status, 1)
        XCTAssertEqual(try bench.request(99).status, 2)
        XCTAssertEqual(bench.driver.status.rawValue, 0xf)
    }

    func testReadOnlyDisk() throws {
        let folder = try makeFolder()
        let path = try folder.file("disk", Self.pattern)
        let bench = try makeBench(try Disk(path: path, isReadOnly: true))
        XCTAssertEqual(try bench.request(1, data: [[UInt8](repeating: 9, count: 512)]).status, 1)
        XCTAssertEqual(try bench.request(13, data: [Self.stretch(0, 1, 0)]).status, 2)
        XCTAssertEqual(try bench.request(0, reads: [512]).bytes, Array(Self.pattern[..<512]))
        XCTAssertEqual(try folder.bytes("disk"), Self.pattern)
        // A second reader may come, a writer may not.
        _ = try Disk(path: path, isReadOnly: true)
        XCTAssertThrowsError(try Disk(path: path)) { XCTAssertEqual($0 as? DiskError, .inUse(path: path)) }
    }

    private static func stretch(_ sector: UInt64, _ count: UInt32, _ flags: UInt32) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add(sector)
        builder.add(count)
        builder.add(flags)
        return builder.bytes
    }

    func testZerosAndDiscards() throws {
        let folder = try makeFolder()
        let disk = try Disk(path: try folder.file("disk", Self.pattern))
        let bench = try makeBench(disk)
        XCTAssertEqual(try bench.request(13, data: [Self.stretch(0, 1, 0) + Self.stretch(2, 1, 1)]).status, 0)
        var expected = Self.pattern
        for start in [0, 1024] { expected.replaceSubrange(start..<start + 512, with: repeatElement(0, count: 512)) }
        XCTAssertEqual(try folder.bytes("disk"), expected)
        XCTAssertEqual(try bench.request(13, data: [Self.stretch(0, 1, 2)]).status, 2, "an unknown flag")
        XCTAssertEqual(try bench.request(13, data: [Self.stretch(7, 2, 0)]).status, 1)
        XCTAssertEqual(try bench.request(13, data: [Self.stretch(0, 1 << 15 + 1, 0)]).status, 1)
        XCTAssertEqual(try bench.request(13, data: [[1, 2, 3]]).status, 1)
        XCTAssertEqual(try bench.request(13).status, 1)
        if disk.punchesHoles {
            XCTAssertEqual(try bench.request(11, data: [Self.stretch(4, 4, 0)]).status, 0)
            expected.replaceSubrange(2048..<4096, with: repeatElement(0, count: 2048))
            XCTAssertEqual(try bench.request(11, data: [Self.stretch(4, 4, 1)]).status, 2)
        } else {
            XCTAssertEqual(try bench.request(11, data: [Self.stretch(4, 4, 0)]).status, 2)
        }
        XCTAssertEqual(try folder.bytes("disk"), expected)
    }

    func testErrorsOfTheDiskReachTheGuest() throws {
        let folder = try makeFolder()
        let path = try folder.file("disk", Self.pattern)
        let isBroken = Atomic(false)
        var calls = DiskCalls.live
        calls.read = { isBroken.load(ordering: .relaxed) ? -Int(EIO) : ckvm_preadv($0, $1, $2, $3) }
        calls.write = { isBroken.load(ordering: .relaxed) ? -Int(ENOSPC) : ckvm_pwritev($0, $1, $2, $3) }
        calls.flush = { isBroken.load(ordering: .relaxed) ? -EIO : ckvm_fdatasync($0) }
        let bench = try makeBench(try Disk(path: path, isReadOnly: false, calls: calls))
        let block = [UInt8](repeating: 3, count: 512)
        for broken in [true, false] {
            isBroken.store(broken, ordering: .relaxed)
            let expected: UInt8 = broken ? 1 : 0
            XCTAssertEqual(try bench.request(0, reads: [512]).status, expected)
            XCTAssertEqual(try bench.request(1, data: [block]).status, expected)
            XCTAssertEqual(try bench.request(4).status, expected)
        }
        XCTAssertEqual(truncate(path, 512), 0)
        XCTAssertEqual(try bench.request(0, sector: 2, reads: [512]).status, 1, "a file that has become shorter")
    }

    func testPartialAndInterruptedCalls() throws {
        let folder = try makeFolder()
        let count = Atomic(0)
        var calls = DiskCalls.live
        calls.read = { descriptor, parts, _, offset in
            if count.add(1, ordering: .relaxed).newValue % 2 == 0 { return -Int(EINTR) }
            var part = parts?.pointee ?? iovec()
            part.iov_len = min(part.iov_len, 100)
            return ckvm_preadv(descriptor, &part, 1, offset)
        }
        let path = try folder.file("disk", Self.pattern)
        let bench = try makeBench(try Disk(path: path, isReadOnly: false, calls: calls))
        XCTAssertEqual(try bench.request(0, sector: 1, reads: [150, 1000, 386]).bytes, Array(Self.pattern[512..<2048]))
    }

    func testRequestsThatAreNone() throws {
        let path = try makeFolder().file("disk", Self.pattern)
        for (readable, writable) in [([UInt8](repeating: 0, count: 15), [1]), ([UInt8](repeating: 0, count: 16), [])] {
            let bench = try Bench(try Disk(path: path))
            try bench.driver.submit(0, readable: [readable], writable: writable)
            while !bench.driver.status.contains(.needsReset) { sched_yield() }
            XCTAssertEqual(bench.driver.link.activity.lastFault, .request)
            try bench.driver.start(sizes: [64])
            XCTAssertEqual(try bench.request(0, reads: [512]).status, 0)
            bench.end()
        }
    }

    func testFilesThatAreNoDisks() throws {
        let folder = try makeFolder()
        func error(_ path: String) -> DiskError? {
            do {
                _ = try Disk(path: path)
                return nil
            } catch {
                return error
            }
        }
        XCTAssertEqual(error(folder.path("none")), .notUsable(path: folder.path("none"), .noSuchFile))
        XCTAssertEqual(error("/dev/null"), .notADisk(path: "/dev/null"))
        let small = try folder.file("small", [UInt8](repeating: 0, count: 511))
        XCTAssertEqual(error(small), .empty(path: small))
        XCTAssertEqual(error(folder.path), .notUsable(path: folder.path, ErrorNumber(rawValue: EISDIR)))
        let pipe = folder.path("pipe")
        XCTAssertEqual(mkfifo(pipe, 0o600), 0)
        XCTAssertEqual(error(pipe), .notADisk(path: pipe))
    }

    func testSeveralDisks() throws {
        let folder = try makeFolder()
        var attachments = try Attachments.forTests()
        for name in ["a", "b"] {
            try VirtioDisk(try Disk(path: try folder.file(name, Self.pattern))).attach(to: &attachments)
        }
        try EntropySource().attach(to: &attachments)
        XCTAssertEqual(attachments.virtioDevices.map(\.link.name), ["virtio disk 0", "virtio disk 1", "virtio rng"])
        XCTAssertEqual(attachments.workers.map(\.name), ["disk 0", "disk 1"])
    }
}
