@testable import Devices
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// The virtio console by requests, without a guest.
final class VirtioConsoleTests: XCTestCase {
    /// A console with a driver, and what comes out of it.
    private final class Bench {
        final class Output: Sendable {
            let bytes = Locked<[UInt8]>([])
            let rings = Atomic(0)
        }

        let driver: VirtioDriver
        let console: VirtioConsole
        let output = Output()

        init(features: UInt64 = 2) throws {
            let size = ConsoleSize.Size(columns: 80, rows: 25)
            let output = output
            (driver, console) = try VirtioDriver.making(
                queueSizes: VirtioConsole.queueSizes, configuration: VirtioConsole.configuration(size)
            ) { link in
                VirtioConsole(
                    link, size: size,
                    write: { part in output.bytes.withLock { $0 += Array(part) } },
                    roomToReceive: { output.rings.add(1, ordering: .relaxed) })
            }
            driver.features |= features
            try driver.start(sizes: [16, 16, 16, 16])
        }

        var text: String { String(decoding: output.bytes.withLock { $0 }, as: UTF8.self) }
        var rings: Int { output.rings.load(ordering: .relaxed) }

        /// Sends a message to the device.
        func send(_ event: UInt16, _ value: UInt16, port: UInt32 = 0) throws {
            var builder = ByteBuilder()
            builder.add(port)
            builder.add(event)
            builder.add(value)
            try driver.submit(3, readable: [builder.bytes])
        }
    }

    func testOutput() throws {
        let bench = try Bench()
        try bench.driver.submit(1, readable: [Array("Hello, ".utf8), Array("world\n".utf8)])
        XCTAssertEqual(bench.text, "Hello, world\n")
        XCTAssertEqual(try bench.driver.used(1).map(\.written), [0])
        XCTAssertEqual(bench.driver.read(0x100), 25 << 16 | 80)
        XCTAssertEqual(bench.driver.read(0x104), 1)
    }

    func testInputWaitsForBuffers() throws {
        let bench = try Bench()
        XCTAssertFalse(bench.console.isReadyToReceive())
        XCTAssertEqual(bench.console.receive(Array("abc".utf8)[...]), 0)
        let (_, first) = try bench.driver.submit(0, readable: [], writable: [2])
        XCTAssertEqual(bench.rings, 1)
        XCTAssertTrue(bench.console.isReadyToReceive())
        XCTAssertEqual(bench.console.receive(Array("abc".utf8)[...]), 2)
        XCTAssertEqual(try bench.driver.bytes(first[0], 2), Array("ab".utf8))
        let (_, second) = try bench.driver.submit(0, readable: [], writable: [2])
        XCTAssertEqual(bench.rings, 2)
        XCTAssertEqual(bench.console.receive(Array("c".utf8)[...]), 1)
        XCTAssertEqual(try bench.driver.bytes(second[0], 2), [UInt8(ascii: "c"), 0])
        XCTAssertEqual(try bench.driver.used(0).map(\.written), [2, 1])
        try bench.driver.submit(0, readable: [], writable: [2])
        XCTAssertEqual(bench.rings, 2, "nothing waits")
    }

    func testMessages() throws {
        let bench = try Bench()
        var buffers: [UInt64] = []
        for _ in 0..<7 { buffers += try bench.driver.submit(2, readable: [], writable: [32]).buffers }
        try bench.send(0, 1)
        XCTAssertEqual(try bench.driver.used(2).map(\.written), [8])
        XCTAssertEqual(try bench.driver.bytes(buffers[0], 8), [0, 0, 0, 0, 1, 0, 1, 0], "port 0 is added")
        try bench.send(3, 1)
        XCTAssertEqual(try bench.driver.used(2).map(\.written), [8, 8 + 15, 12, 8])
        XCTAssertEqual(try bench.driver.bytes(buffers[1], 8), [0, 0, 0, 0, 4, 0, 1, 0], "it is a console")
        XCTAssertEqual(try bench.driver.bytes(buffers[2], 8), [0, 0, 0, 0, 7, 0, 1, 0])
        XCTAssertEqual(try bench.driver.bytes(buffers[2] + 8, 15), Array("minivmm.console".utf8))
        XCTAssertEqual(try bench.driver.bytes(buffers[3], 12), [0, 0, 0, 0, 5, 0, 0, 0, 80, 0, 25, 0])
        XCTAssertEqual(try bench.driver.bytes(buffers[4], 8), [0, 0, 0, 0, 6, 0, 1, 0], "it is open")
        bench.console.resize(.init(columns: 132, rows: 50))
        XCTAssertEqual(try bench.driver.bytes(buffers[5], 12), [0, 0, 0, 0, 5, 0, 0, 0, 132, 0, 50, 0])
        XCTAssertEqual(bench.driver.read(0x100), 50 << 16 | 132)
    }

    func testMessagesWaitForBuffersAndDoNotGrow() throws {
        let bench = try Bench()
        for _ in 0..<100 { try bench.send(0, 1) }
        try bench.send(3, 0)
        try bench.send(3, 1, port: 1)
        var count = 0
        for _ in 0..<100 {
            try bench.driver.submit(2, readable: [], writable: [8])
            count += try bench.driver.used(2).count
        }
        XCTAssertEqual(count, 16)
        XCTAssertFalse(bench.driver.status.contains(.needsReset))
        try bench.driver.submit(3, readable: [[1, 2, 3]])
        XCTAssertTrue(bench.driver.status.contains(.needsReset), "no message is so short")
    }

    func testSizeListener() {
        let size = ConsoleSize(columns: 80, rows: 25)
        let changes = Locked<[ConsoleSize.Size]>([])
        size.listen { change in changes.withLock { $0.append(change) } }
        size.set(columns: 80, rows: 25)
        size.set(columns: 100, rows: 30)
        XCTAssertEqual(changes.withLock { $0 }, [.init(columns: 100, rows: 30)])
    }

    func testConsoleTakesOverInput() throws {
        var attachments = try Attachments.forTests()
        try SerialPort().attach(to: &attachments)
        XCTAssertTrue(attachments.receiver is Serial16550)
        try VirtioConsolePort().attach(to: &attachments)
        XCTAssertTrue(attachments.receiver is VirtioConsole)
        XCTAssertEqual(attachments.kernelArguments, ["console=hvc0"])
    }
}
