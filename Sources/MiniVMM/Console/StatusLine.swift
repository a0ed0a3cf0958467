/// A line on a terminal that says how a run goes, and is wiped before anything else is written there.
///
/// The guest's console may be on the same terminal. Then the line is shown only while the guest's output stands at the
/// start of a line, so that no half of a line is lost.
public final class StatusLine: Sendable {
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
    public init(write: @escaping @Sendable (String) -> Void) {
        self.write = write
    }

    /// Shows a text, in place of the one before.
    public func show(_ text: String) {
        state.withLock { state in
            guard state.isAtLineStart, !state.isOver else { return }
            write(Self.erase + text)
            state.isShown = true
        }
    }

    /// Wipes the line. Something else may be written then.
    public func wipe() {
        state.withLock { wipe(&$0) }
    }

    /// Wipes the line for good.
    public func end() {
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

    /// Makes way for what is about to be written to the same terminal.
    ///
    /// - Parameter byte: The last byte of it.
    func makeWay(for byte: UInt8) {
        state.withLock { state in
            wipe(&state)
            state.isAtLineStart = byte == UInt8(ascii: "\n")
        }
    }
}
