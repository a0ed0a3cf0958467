@testable import TestSupport
@testable import minivmm_cli
@testable import Devices
import Glibc
@testable import Host
import XCTest

/// What goes from a descriptor to the guest: all of it, in order, and without keeping a run from its end.
final class ConsoleInputTests: XCTestCase {
    private static let text = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    // MARK: From the descriptor to the guest

    func testAPipeArrivesWhole() throws {
        try TestBed.skipWhereEmulated()
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        let bell = try Doorbell()
        let guest = SerialGuest { bell.ring() }
        let writer = pipe.writer
        Thread.detachNewThread { writeAll(Self.text, to: writer) }
        let input = try ConsoleInput(.stream(pipe.reader), to: guest.port, bell: bell)
        let received = guest.receive(Self.text.count)
        input.end()
        XCTAssertTrue(received == Self.text, "\(received.count) bytes of \(Self.text.count)")
    }

    func testAPasteIntoATerminalArrivesWhole() throws {
        try TestBed.skipWhereEmulated()
        let pseudo = try PseudoTerminal()
        defer { withExtendedLifetime(pseudo) {} }
        let terminal = try XCTUnwrap(Terminal(descriptor: pseudo.slave))
        let bell = try Doorbell()
        let guest = SerialGuest { bell.ring() }
        // Ctrl-A is not for the guest.
        let text = Self.text.map { $0 == EscapeKeys.prefix ? 0 : $0 }
        let input = try ConsoleInput(.terminal(terminal) { _ in XCTFail("no escape keys") }, to: guest.port, bell: bell)
        Thread.detachNewThread { pseudo.type(text) }
        let received = guest.receive(text.count)
        input.end()
        XCTAssertTrue(received == text, "\(received.count) bytes of \(text.count)")
    }

    func testAFileArrivesWhole() throws {
        guard let file = tmpfile() else { throw XCTSkip("no temporary file to be had") }
        defer { fclose(file) }
        writeAll(Self.text, to: fileno(file))
        lseek(fileno(file), 0, SEEK_SET)
        let bell = try Doorbell()
        let guest = SerialGuest { bell.ring() }
        let input = try ConsoleInput(.stream(fileno(file)), to: guest.port, bell: bell)
        let received = guest.receive(Self.text.count)
        input.end()
        XCTAssertTrue(received == Self.text, "\(received.count) bytes of \(Self.text.count)")
    }

    func testWhatWaitsWhenTheInputEndsIsStillFed() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        pipe.supply([1, 2, 3])
        let bell = try Doorbell()
        let receiver = ReceiverStub(room: 1)
        let input = try ConsoleInput(.stream(pipe.reader), to: receiver, bell: bell)
        for count in 1...3 {
            XCTAssertTrue(receiver.offered.comes())
            XCTAssertEqual(receiver.received.count, count)
            if count < 3 { XCTAssertFalse(receiver.hasEnded) }
            receiver.makeRoom(1)
            bell.ring()
        }
        XCTAssertTrue(receiver.ended.comes())
        input.end()
        XCTAssertEqual(receiver.received, [1, 2, 3])
    }

    func testARunThatEndsIsNoEndOfInput() throws {
        let pipe = try PipeEnds()
        let receiver = ReceiverStub()
        let input = try ConsoleInput(.stream(pipe.reader), to: receiver, bell: Doorbell())
        XCTAssertTrue(receiver.asked.comes())
        input.end()
        XCTAssertFalse(receiver.hasEnded)
    }

    func testSleepsWhileTheGuestHasNoRoom() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        writeAll([1, 2], to: pipe.writer)
        let bell = try Doorbell()
        let receiver = ReceiverStub(room: 1)
        let input = try ConsoleInput(.stream(pipe.reader), to: receiver, bell: bell)
        for _ in 0..<5 {
            XCTAssertTrue(receiver.offered.comes())
            bell.ring()
        }
        XCTAssertTrue(receiver.offered.comes())
        input.end()
        // One for each bell, and one at most while the end was on its way.
        XCTAssertLessThanOrEqual(receiver.offers, 7)
        XCTAssertEqual(receiver.received, [1])
    }

    func testStartsWhenTheGuestAsks() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        pipe.supply([1, 2, 3])
        let bell = try Doorbell()
        let receiver = ReceiverStub(room: 0)
        let input = try ConsoleInput(.stream(pipe.reader), to: receiver, whenAsked: true, bell: bell)
        XCTAssertTrue(receiver.asked.comes(), "so that the receiver rings")
        XCTAssertEqual(input.firstRing?.wait(timeout: .zero), false)
        receiver.makeRoom(3)
        bell.ring()
        XCTAssertEqual(input.firstRing?.wait(timeout: .zero), true)
        try input.start()
        XCTAssertNil(input.firstRing)
        XCTAssertTrue(receiver.offered.comes())
        input.end()
        XCTAssertEqual(receiver.received, [1, 2, 3])
    }

    func testAGuestThatIsReadyIsFedAtOnce() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        pipe.supply([1])
        let receiver = ReceiverStub(room: 1)
        let input = try ConsoleInput(.stream(pipe.reader), to: receiver, whenAsked: true, bell: Doorbell())
        XCTAssertNil(input.firstRing)
        XCTAssertTrue(receiver.offered.comes())
        input.end()
        XCTAssertEqual(receiver.received, [1])
    }

    func testEndsWithoutAThread() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        pipe.supply([1])
        let receiver = ReceiverStub(room: 0)
        try ConsoleInput(.stream(pipe.reader), to: receiver, whenAsked: true, bell: Doorbell()).end()
        XCTAssertFalse(receiver.hasEnded)
        XCTAssertEqual(receiver.received, [])
    }

    func testNothingIsReadBeforeTheGuestListens() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        writeAll(Array("for somebody else".utf8), to: pipe.writer)
        let receiver = ReceiverStub(room: 0)
        let input = try ConsoleInput(.stream(pipe.reader), to: receiver, bell: Doorbell())
        XCTAssertTrue(receiver.asked.comes())
        input.end()
        XCTAssertEqual(String(decoding: pipe.available(), as: UTF8.self), "for somebody else")
    }

    func testDescriptorsWithoutInput() throws {
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        let folder = open("/", O_RDONLY | O_CLOEXEC)
        let closed = open("/dev/null", O_RDONLY | O_CLOEXEC)
        close(closed)
        defer {
            close(null)
            close(folder)
        }
        for descriptor in [null, folder, closed, -1] {
            let receiver = ReceiverStub()
            let input = try ConsoleInput(.stream(descriptor), to: receiver, bell: Doorbell())
            XCTAssertTrue(receiver.asked.comes())
            input.end()
            XCTAssertEqual(receiver.received, [])
        }
    }

    // MARK: The end of a run

    func testEndsWhileThereIsNoInput() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        let receiver = ReceiverStub()
        let input = try ConsoleInput(.stream(pipe.reader), to: receiver, bell: Doorbell())
        XCTAssertTrue(receiver.asked.comes())
        input.end()
        XCTAssertEqual(receiver.received, [])
    }

    /// As when another process reads from the same terminal, and was faster.
    func testEndsWhileAReadBlocks() throws {
        let ready = try PipeEnds()
        defer { ready.closeReader() }
        writeAll([1], to: ready.writer)
        let empty = try PipeEnds()
        defer { empty.closeReader() }
        let emptyReader = empty.reader
        let isReading = DispatchSemaphore(value: 0)
        let input = try ConsoleInput(.stream(ready.reader), to: ReceiverStub(), bell: Doorbell()) { _, memory in
            isReading.signal()
            let result = read(emptyReader, memory.baseAddress, memory.count)
            return result < 0 ? -Int(errno) : result
        }
        XCTAssertTrue(isReading.comes())
        input.end()
    }

    func testStartsAndEndsAThousandTimes() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        let bell = try Doorbell()
        for _ in 0..<1_000 { try ConsoleInput(.stream(pipe.reader), to: ReceiverStub(), bell: bell).end() }
    }

    // MARK: Escape keys

    func testEscapeKeysWorkWhileTheGuestDoesNotListen() throws {
        let pseudo = try PseudoTerminal()
        defer { withExtendedLifetime(pseudo) {} }
        let terminal = try XCTUnwrap(Terminal(descriptor: pseudo.slave))
        let receiver = ReceiverStub(room: 0)
        let actions = ActionLog()
        let input = try ConsoleInput(.terminal(terminal, action: actions.note), to: receiver, bell: Doorbell())
        pseudo.type([UInt8](repeating: 0x61, count: 3_000) + [1])
        pseudo.type(Array("c\u{1}h\u{1}x\u{1}c".utf8))
        for _ in 0..<3 { XCTAssertTrue(actions.noted.comes()) }
        input.end()
        XCTAssertEqual(actions.all, [.showCounters, .help, .quit], "and nothing after the end was asked for")
        XCTAssertEqual(receiver.received, [])
    }

    func testBytesAroundEscapeKeysReachTheGuest() throws {
        let pseudo = try PseudoTerminal()
        defer { withExtendedLifetime(pseudo) {} }
        let terminal = try XCTUnwrap(Terminal(descriptor: pseudo.slave))
        let actions = ActionLog()
        let bell = try Doorbell()
        let guest = SerialGuest { bell.ring() }
        let input = try ConsoleInput(.terminal(terminal, action: actions.note), to: guest.port, bell: bell)
        // Ctrl-C, Ctrl-D, Ctrl-Z, Ctrl-\, Ctrl-S, Ctrl-Q, carriage return, newline, backspace, 0xFF.
        let keys: [UInt8] = [0x03, 0x04, 0x1A, 0x1C, 0x13, 0x11, 0x0D, 0x0A, 0x7F, 0x08, 0xFF, 0x00]
        pseudo.type(keys + Array("a\u{1}cb\u{1}\u{1}d\u{1}ef".utf8))
        let expected = keys + Array("ab\u{1}d\u{1}ef".utf8)
        let received = guest.receive(expected.count)
        input.end()
        XCTAssertEqual(received, expected)
        XCTAssertEqual(actions.all, [.showCounters])
    }

    func testEscapeKeysAreBytesInAPipe() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        let bytes = Array("a\u{1}x\u{1}cb".utf8)
        writeAll(bytes, to: pipe.writer)
        let receiver = ReceiverStub()
        let input = try ConsoleInput(.stream(pipe.reader), to: receiver, bell: Doorbell())
        XCTAssertTrue(receiver.offered.comes())
        input.end()
        XCTAssertEqual(receiver.received, bytes)
    }
}
