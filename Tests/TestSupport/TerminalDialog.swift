import Glibc
import XCTest

/// A person at a terminal, who types and waits for what appears.
final class TerminalDialog {
    let terminal: PseudoTerminal
    /// All that has appeared.
    private(set) var shown: [UInt8] = []
    /// How much of it has been waited for.
    private var read = 0

    init(_ terminal: PseudoTerminal) {
        self.terminal = terminal
    }

    /// Types a text.
    func type(_ text: String) {
        terminal.type(Array(text.utf8))
    }

    /// Waits until a text appears after what was waited for before.
    ///
    /// - Throws: ``ProcessError/endedEarly(waitingFor:output:errors:)`` when nothing more comes, or nothing for a long time.
    func expect(_ text: String) throws {
        let wanted = Array(text.utf8)
        var start = read
        while true {
            while start + wanted.count <= shown.count {
                if shown[start...].starts(with: wanted) {
                    read = start + wanted.count
                    return
                }
                start += 1
            }
            guard readMore() else {
                throw ProcessError.endedEarly(
                    waitingFor: text, output: String(decoding: shown, as: UTF8.self), errors: "")
            }
        }
    }

    /// Waits for what appears, and takes it.
    ///
    /// - Returns: Whether anything did.
    private func readMore() -> Bool {
        var wanted = pollfd(fd: terminal.master, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, Int32(ChildProcess.limit) * 1000) == 1 else { return false }
        var part = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(terminal.master, &part, part.count)
        shown += part.prefix(max(0, count))
        return count > 0
    }
}
