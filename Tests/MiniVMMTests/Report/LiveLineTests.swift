import Synchronization
import XCTest

@testable import MiniVMM

/// The line about a run that goes on.
final class LiveLineTests: XCTestCase {
    private func snapshot(_ exits: [(ExitKind, Int)]) -> CounterSnapshot {
        let table = ExitCounterTable(vcpuCount: 1)
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
        private let written = Mutex("")
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
        line.wipe()
        XCTAssertEqual(screen.take(), "", "nothing to wipe")
        line.show("one")
        line.show("two")
        XCTAssertEqual(screen.take(), "\r\u{1b}[Kone\r\u{1b}[Ktwo")
        line.makeWay(for: UInt8(ascii: "x"))
        line.makeWay(for: UInt8(ascii: "y"))
        XCTAssertEqual(screen.take(), "\r\u{1b}[K", "wiped once")
        line.show("not in the middle of a line")
        XCTAssertEqual(screen.take(), "")
        line.makeWay(for: UInt8(ascii: "\n"))
        line.show("three")
        line.end()
        line.show("not after the end")
        XCTAssertEqual(screen.take(), "\r\u{1b}[Kthree\r\u{1b}[K")
    }

    func testWatchLooksUntilItIsEnded() throws {
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: [0xf4]))
        let looked = try EndSignal(count: 1)
        let count = Mutex(0)
        let watch = try LiveWatch(machine, every: .milliseconds(1)) { line in
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
