@testable import Boot
@testable import Counters
@testable import Devices
import Foundation
@testable import Host
import Logging
@testable import Report
import Synchronization
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// The line about a run that goes on.
final class LiveLineTests: XCTestCase {
    private func snapshot(_ exits: [(ExitKind, Int)]) -> CounterSnapshot {
        let table = ExitCounterTable.inMemory(vcpuCount: 1)
        let counters = table.counters(of: 0)
        for (kind, count) in exits { for _ in 0..<count { counters.begin(kind) } }
        return CounterSnapshot(table)
    }

    func testRatesAreThoseSinceTheLastLine() {
        let before = snapshot([(.portOut, 100), (.hlt, 5)])
        let now = snapshot([(.portOut, 600), (.hlt, 5), (.portIn, 1000), (.rdmsr, 1), (.wrmsr, 2)])
        XCTAssertEqual(
            LiveLine(now, previous: before, elapsed: .milliseconds(12_340), interval: .milliseconds(500)).text,
            "12.3 s  1.61k exits  io_in 2.00k/s  io_out 1.00k/s  wrmsr 4/s")
        XCTAssertEqual(
            LiveLine(before, previous: nil, elapsed: .seconds(1), interval: .seconds(1)).text,
            "1.0 s  105 exits  io_out 100/s  hlt 5/s")
        XCTAssertEqual(LiveLine(before, previous: before, elapsed: .zero, interval: .zero).text, "0.0 s  105 exits")
    }

    /// What a line writes.
    private final class Screen: Sendable {
        private let written = Locked("")
        func write(_ text: String) { written.withLock { $0 += text } }
        func take() -> String {
            written.withLock { text in
                defer { text = "" }
                return text
            }
        }
    }

    func testLineMakesWay() {
        let screen = Screen()
        let line = StatusLine { screen.write($0) }
        line.makeWay(forTextEndingIn: nil) {}
        XCTAssertEqual(screen.take(), "", "nothing to wipe")
        line.show("one")
        line.show("two")
        XCTAssertEqual(screen.take(), "\r\u{1b}[Kone\r\u{1b}[Ktwo")
        line.makeWay(forTextEndingIn: UInt8(ascii: "x")) { screen.write("x") }
        line.makeWay(forTextEndingIn: UInt8(ascii: "y")) { screen.write("y") }
        XCTAssertEqual(screen.take(), "\r\u{1b}[Kxy", "wiped once")
        line.show("not in the middle of a line")
        XCTAssertEqual(screen.take(), "")
        line.makeWay(forTextEndingIn: UInt8(ascii: "\n")) {}
        line.show("three")
        line.end()
        line.show("not after the end")
        XCTAssertEqual(screen.take(), "\r\u{1b}[Kthree\r\u{1b}[K")
    }

    /// Two threads that write to one terminal, and a third that shows the line: no message shares a line with it.
    func testLogMessagesHaveLinesOfTheirOwn() throws {
        let terminal = try PseudoTerminal()
        let line = StatusLine { writeAll(Array($0.utf8), to: terminal.slave) }
        let logger = Logger(label: "test") { StreamLogHandler(label: $0, stream: MessageStream(line, terminal.slave)) }
        let isOver = Atomic(false)
        let rounds = 300
        let ended = DispatchGroup()
        for name in ["first", "second"] {
            ended.enter()
            Thread.detachNewThread {
                for round in 1...rounds { logger.warning("\(name) \(round) end") }
                ended.leave()
            }
        }
        let person = TerminalDialog(terminal)
        Thread.detachNewThread {
            while !isOver.load(ordering: .relaxed) { line.show("12.3 s  100 exits") }
            line.end()
            writeAll(Array("over\n".utf8), to: terminal.slave)
        }
        Thread.detachNewThread {
            ended.wait()
            isOver.store(true, ordering: .relaxed)
        }
        try person.expect("over\r\n")
        let lines = String(decoding: person.shown, as: UTF8.self).components(separatedBy: "\r\n")
        let messages = lines.filter { $0.contains(" end") }
        XCTAssertEqual(messages.count, 2 * rounds)
        for message in messages {
            // What a terminal shows of a line: what came after it was erased last.
            let shown = try XCTUnwrap(message.components(separatedBy: "\r\u{1b}[K").last)
            XCTAssertFalse(shown.contains("exits"), message)
            XCTAssertTrue(shown.contains(" warning test: ") && shown.hasSuffix(" end"), message)
        }
    }

    /// The command's line on a terminal: it is there while the guest runs, and gone before the last words.
    func testLineOfARun() throws {
        _ = try TestKVM.shared()
        let terminal = try PseudoTerminal()
        let command = [try MiniVMMExecutable.path(), "run", "--guest", "spin", "--log-level", "info"]
        var spawn = try SpawnRequest(command, environment: ["TERM": "xterm", "NO_COLOR": "1"])
        for target in 0..<3 as Range<Int32> { try spawn.duplicate(terminal.slave, as: target) }
        let child = try ChildProcess(&spawn)
        terminal.leave()
        let person = TerminalDialog(terminal)
        try person.expect(" info minivmm: ")
        try person.expect("\r\u{1b}[K")
        try person.expect(" exits")
        try child.send(SIGTERM)
        try person.expect("\r\u{1b}[Kminivmm: ")
        try person.expect("exit ")
        XCTAssertEqual(try child.waitForEnd(), .exited(143))
    }

    func testWatchLooksUntilItIsEnded() throws {
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: [0xf4]))
        let looked = try EndSignal(count: 1)
        let count = Locked(0)
        let watch = try LiveWatch(machine, every: .milliseconds(1)) { look in
            let line = LiveLine(
                look.counters, previous: look.previous, elapsed: look.elapsed, interval: look.interval)
            XCTAssertTrue(line.text.contains(" s  0 exits"))
            let isFirst = count.withLock { count in
                count += 1
                return count == 1
            }
            if isFirst { looked.give() }
        }
        XCTAssertTrue(looked.wait(timeout: .seconds(60)))
        watch.end()
        let after = count.withLock { $0 }
        XCTAssertGreaterThan(after, 0)
    }
}
