import Host

/// A line on a terminal that says how a run goes, and is wiped before anything else is written there.
///
/// The guest's console may be on the same terminal. Then the line is shown only while the guest's output stands at the
/// start of a line, so that no half of a line is lost.
package final class StatusLine: Sendable {
    private struct State {
        var isShown = false
        var isAtLineStart = true
        var isOver = false
    }

    private let state = Locked(State())
    private let write: @Sendable (String) -> Void

    /// To the start of the line, and erase it. Source: ECMA-48, CR and EL.
    private static let erase = "\r\u{1b}[K"

    /// A line that is not shown yet.
    ///
    /// - Parameter write: Writes to the terminal. Called on several threads, one at a time.
    package init(write: @escaping @Sendable (String) -> Void) {
        self.write = write
    }

    /// Shows a text, in place of the one before.
    package func show(_ text: String) {
        state.withLock { state in
            guard state.isAtLineStart, !state.isOver else { return }
            write(Self.erase + text)
            state.isShown = true
        }
    }

    /// Wipes the line for good.
    package func end() {
        state.withLock { state in
            wipe(&state)
            state.isOver = true
        }
    }

    private func wipe(_ state: inout State) {
        guard state.isShown else { return }
        write(Self.erase)
        state.isShown = false
    }

    /// Wipes the line and calls something that writes to the same terminal. The line is not shown again before it has
    /// returned, and only if it stands at the start of a line then.
    ///
    /// - Parameters:
    ///   - last: The last byte of what is written, if it is anything.
    ///   - body: Writes it.
    package func makeWay(forTextEndingIn last: UInt8?, _ body: () -> Void) {
        state.withLock { state in
            wipe(&state)
            if let last { state.isAtLineStart = last == UInt8(ascii: "\n") }
            body()
        }
    }
}
