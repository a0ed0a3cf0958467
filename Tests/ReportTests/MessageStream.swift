@testable import Devices
@testable import TestSupport

/// Messages on a terminal on which there may be a line about the run, as the command writes them.
struct MessageStream: TextOutputStream, Sendable {
    private let line: StatusLine
    private let terminal: Int32

    init(_ line: StatusLine, _ terminal: Int32) {
        self.line = line
        self.terminal = terminal
    }

    func write(_ text: String) {
        line.makeWay(forTextEndingIn: text.utf8.last) { writeAll(Array(text.utf8), to: terminal) }
    }
}
