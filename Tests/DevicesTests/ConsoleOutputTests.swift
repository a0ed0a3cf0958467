@testable import Devices
import Glibc
@testable import Host
@testable import TestSupport
import XCTest

/// The console's buffer: what goes out when, without a guest.
final class ConsoleOutputTests: XCTestCase {
    private func write(_ text: String, to console: ConsoleOutput) {
        for byte in text.utf8 { console.write(byte) }
    }

    /// What the next read(2) of a pipe brings; nothing if it would block.
    private func available(_ pipe: PipeEnds) throws -> String {
        var wanted = pollfd(fd: pipe.reader, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, 0) == 1 else { return "" }
        var bytes = [UInt8](repeating: 0, count: 0x1_0000)
        let count = try XCTUnwrap(read(pipe.reader, &bytes, bytes.count))
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }

    /// Waits until a console's timer has expired, and tells the console.
    private func expire(_ console: ConsoleOutput) -> Bool {
        var wanted = pollfd(fd: console.timerDescriptor, events: Int16(POLLIN), revents: 0)
        XCTAssertEqual(poll(&wanted, 1, -1), 1)
        return console.timerHasExpired()
    }

    func testLinesGoOutWhole() throws {
        let pipe = try PipeEnds()
        let console = try ConsoleOutput(descriptor: pipe.writer)
        write("one", to: console)
        XCTAssertEqual(try available(pipe), "")
        write(" line\ntwo\nthree", to: console)
        XCTAssertEqual(try available(pipe), "one line\ntwo\n")
        console.flush()
        XCTAssertEqual(try available(pipe), "three")
        console.flush()
        XCTAssertEqual(try available(pipe), "")
    }

    func testFullBufferGoesOut() throws {
        let pipe = try PipeEnds()
        let console = try ConsoleOutput(descriptor: pipe.writer)
        write(String(repeating: "x", count: 4095), to: console)
        XCTAssertEqual(try available(pipe), "")
        write("xyz", to: console)
        XCTAssertEqual(try available(pipe), String(repeating: "x", count: 4096))
        console.flush()
        XCTAssertEqual(try available(pipe), "yz")
    }

    func testUnfinishedLineGoesOutWhenTheGuestIsSilent() throws {
        let pipe = try PipeEnds()
        let console = try ConsoleOutput(descriptor: pipe.writer)
        for prompt in ["$ ", "# "] {
            write(prompt, to: console)
            XCTAssertFalse(expire(console), "the next byte may come")
            console.flushIfOverdue()
            XCTAssertEqual(try available(pipe), prompt)
            XCTAssertFalse(expire(console), "nothing is kept any more")
        }
    }

    func testVCPUIsKickedWhenNothingElseFlushes() throws {
        let pipe = try PipeEnds()
        let console = try ConsoleOutput(descriptor: pipe.writer)
        write("$ ", to: console)
        XCTAssertFalse(expire(console))
        // As often as it takes: a kick can be lost.
        XCTAssertTrue(expire(console))
        XCTAssertTrue(expire(console))
        XCTAssertEqual(try available(pipe), "")
        console.flushIfOverdue()
        XCTAssertEqual(try available(pipe), "$ ")
        XCTAssertFalse(expire(console))
    }

    func testOverdueLineGoesOutWithItsNextByte() throws {
        let pipe = try PipeEnds()
        let console = try ConsoleOutput(descriptor: pipe.writer)
        write("ab", to: console)
        console.flushIfOverdue()
        XCTAssertEqual(try available(pipe), "", "it is not overdue yet")
        XCTAssertFalse(expire(console))
        write("c", to: console)
        XCTAssertEqual(try available(pipe), "abc")
        write("d", to: console)
        XCTAssertEqual(try available(pipe), "")
    }

    func testFailureIsToldOnce() throws {
        let pipe = try PipeEnds()
        let failures = Locked<[ConsoleError]>([])
        let console = try ConsoleOutput(
            descriptor: pipe.reader,
            onFailure: { failure in
                failures.withLock { $0.append(failure) }
            })
        write("one\ntwo\n", to: console)
        console.flush()
        guard case .notWritable(let error)? = failures.withLock({ $0.first }) else { return XCTFail("no failure") }
        XCTAssertEqual(error.name, "EBADF")
        XCTAssertEqual(failures.withLock { $0.count }, 1)
    }

    func testNonBlockingDescriptorLosesNothing() throws {
        let pipe = try PipeEnds()
        _ = try ProcessError.check("fcntl", fcntl(pipe.writer, F_SETFL, O_NONBLOCK))
        let console = try ConsoleOutput(descriptor: pipe.writer)
        let lines = (0..<20_000).map { "line \($0)\n" }.joined()
        let peer = ConsolePeer(reading: pipe.reader, typing: [], after: "", into: -1)
        let reading = try PosixThread(name: "reader") { peer.run() }
        write(lines, to: console)
        pipe.closeWriter()
        reading.join()
        XCTAssertEqual(peer.text, lines)
    }
}
