@testable import Boot
@testable import Counters
@testable import Devices
import Glibc
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Console input of flat guests, which poll the serial port.
final class ConsoleInputRunTests: XCTestCase {
    /// Sends back what it receives, up to a newline.
    private static let echo: [UInt8] = [
        0xba, 0xfd, 0x03,  // mov dx, 0x3fd
        0xec,  // in al, dx: the line status
        0xa8, 0x01,  // test al, 1
        0x74, 0xf8,  // jz to the start
        0xba, 0xf8, 0x03,  // mov dx, 0x3f8
        0xec,  // in al, dx
        0xee,  // out dx, al
        0x3c, 0x0a,  // cmp al, '\n'
        0x75, 0xef,  // jne to the start
        0xf4,  // hlt
    ]

    func testAPollingGuestGetsAPipe() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        let line = String(repeating: "What is said here is heard there. ", count: 20) + "\n"
        pipe.supply(Array(line.utf8))
        let run = try GuestRun(Self.echo, input: .stream(pipe.reader))
        XCTAssertEqual(run.console, line)
        guard case .halted = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
    }

    /// Waits for input as the echo does, but reads other registers in between.
    func testAGuestThatLooksAtOtherRegistersGetsAPipe() throws {
        for register in [UInt8(0xfe), 0xff, 0xfb, 0xfa] {
            let pipe = try PipeEnds()
            defer { pipe.closeReader() }
            pipe.supply(Array("hello.\n".utf8))
            let code: [UInt8] = [
                0xba, register, 0x03,  // mov dx, 0x3f8 + 2, 3, 6 or 7
                0xec,  // in al, dx
                0xba, 0xfd, 0x03,  // mov dx, 0x3fd
                0xec,  // in al, dx: the line status
                0xa8, 0x01,  // test al, 1
                0x74, 0xf4,  // jz to the start
                0xba, 0xf8, 0x03,  // mov dx, 0x3f8
                0xec,  // in al, dx
                0xe6, 0xe9,  // out 0xe9, al
                0x3c, 0x0a,  // cmp al, '\n'
                0x75, 0xea,  // jne to the start
                0xf4,  // hlt
            ]
            let run = try GuestRun(code, input: .stream(pipe.reader))
            XCTAssertEqual(run.console, "hello.\n")
        }
    }

    func testAGuestThatDoesNotListenLeavesTheInput() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        writeAll([1, 2, 3], to: pipe.writer)
        let run = try GuestRun([0xf4], input: .stream(pipe.reader))  // hlt
        guard case .halted = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(pipe.available(), [1, 2, 3])
    }

    func testARunEndsWhileTheGuestWaitsForInput() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        let run = try GuestRun(Self.echo, timeout: .milliseconds(20), input: .stream(pipe.reader))
        guard case .timeout = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
    }

    func testARunGoesOnAfterTheEndOfTheInput() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        pipe.supply(Array("to be continued".utf8))
        let tail: [UInt8] = [
            0x3c, 0x64,  // cmp al, 'd'
            0x75, 0xef,  // jne to the start
            0xb9, 0xe8, 0x03,  // mov cx, 1000
            0xba, 0xfd, 0x03,  // mov dx, 0x3fd
            0xec,  // in al, dx: the line status
            0xe2, 0xfd,  // loop to the in
            0xa8, 0x01,  // test al, 1: is there anything to read?
            0x75, 0xfe,  // jnz to itself
            0xf4,  // hlt
        ]
        let run = try GuestRun(Self.echo.dropLast(5) + tail, input: .stream(pipe.reader))
        guard case .halted = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(run.console, "to be continued")
    }
}
