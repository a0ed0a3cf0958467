import ArgumentParser
import CKVM
import Glibc
import Host
import Report

/// The full-screen view on a terminal, with its keys.
///
/// It takes the terminal over, as a run does whose guest has a console there: however the process ends, by a signal or a
/// crash, the modes are put back and the other screen is left.
final class LiveScreen: Sendable {
    private struct State {
        var view: LiveView
        var size = winsize()
        var isOver = false
    }

    private let state: Locked<State>
    /// Where keys come from; below 0 where they come from nowhere.
    private let keys: Int32
    private let screen = OutputFile.standardError
    private let wake: Doorbell
    private let quit: @Sendable () -> Void

    /// How often keys and the terminal's size are looked at.
    static let interval = Duration.milliseconds(100)

    /// Checks that there can be one.
    ///
    /// - Parameter usesOutput: Whether something else is written to standard output.
    static func validate(usesOutput: Bool) throws {
        guard OutputFile.standardError.isTerminal else {
            throw ValidationError("--live shows a screen on standard error, which is no terminal.")
        }
        if usesOutput, OutputFile.standardOutput.isTerminal {
            throw ValidationError("--live needs the terminal for itself: send standard output elsewhere.")
        }
    }

    /// Takes the terminal over.
    ///
    /// - Parameters:
    ///   - title: What is watched.
    ///   - keepsPlaces: Whether samples can have the places that exits come from.
    ///   - quit: Called once when somebody wants to end it.
    /// - Throws: `ResourceError` when the system refuses a descriptor.
    init(title: String, keepsPlaces: Bool = false, quit: @escaping @Sendable () -> Void) throws(ResourceError) {
        state = Locked(State(view: LiveView(title: title, keepsPlaces: keepsPlaces)))
        keys = Terminal(descriptor: STDIN_FILENO) == nil ? -1 : STDIN_FILENO
        wake = try Doorbell()
        self.quit = quit
        guard let terminal = Terminal(descriptor: keys >= 0 ? keys : STDERR_FILENO),
            terminal.takeOver(wake: wake.descriptor)
        else { return }
        Terminal.makeRaw()
        _ = ckvm_terminal_enter_screen(STDERR_FILENO)
    }

    /// Looks at keys and the terminal's size, and draws what is new.
    ///
    /// - Parameters:
    ///   - elapsed: The time since the start.
    ///   - sample: What the counters say, with the places or without. Called when the view is due for it.
    func update(at elapsed: Duration, _ sample: (_ withPlaces: Bool) -> LiveSample) {
        // After a stop, the shell had the terminal.
        Terminal.makeRaw()
        let isEntered = ckvm_terminal_enter_screen(STDERR_FILENO)
        let typed = readKeys()
        var size = winsize()
        _ = unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size)
        let (frame, isOver) = state.withLock { state -> (String?, Bool) in
            var isNew = false
            for key in typed {
                switch state.view.press(key) {
                case .redraw: isNew = true
                case .quit where !state.isOver:
                    state.isOver = true
                    return (nil, true)
                case .quit, nil: break
                }
            }
            if state.view.isDue(at: elapsed.inSeconds) {
                isNew = state.view.take(sample(state.view.grouping.needsPlaces)) || isNew
            }
            if size.ws_row != state.size.ws_row || size.ws_col != state.size.ws_col { isNew = true }
            state.size = size
            guard isNew, isEntered else { return (nil, false) }
            return (Self.frame(state.view.screen(width: Self.width(size), height: Self.height(size))), false)
        }
        // Nobody is there to tell when that fails.
        if let frame { try? screen.write(Array(frame.utf8)) }
        if isOver { quit() }
    }

    /// Gives the terminal back as it was found.
    func end() {
        Terminal.release()
    }

    /// A terminal that does not tell its size has the usual one.
    private static func width(_ size: winsize) -> Int { size.ws_col == 0 ? 80 : Int(size.ws_col) }
    private static func height(_ size: winsize) -> Int { size.ws_row == 0 ? 24 : Int(size.ws_row) }

    /// The lines from the top of the screen, each erased to its end, and all below. Source: ECMA-48, CUP, EL, ED.
    private static func frame(_ lines: [String]) -> String {
        "\u{1b}[H" + lines.map { $0 + "\u{1b}[K" }.joined(separator: "\r\n") + "\u{1b}[J"
    }

    /// The keys that have been pressed.
    private func readKeys() -> [UInt8] {
        guard keys >= 0, ckvm_is_foreground(keys) else { return [] }
        var wanted = pollfd(fd: keys, events: Int16(POLLIN), revents: 0)
        guard unsafe ckvm_poll(&wanted, 1, 0, 0) == 1, wanted.revents & Int16(POLLIN) != 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: 64)
        // Sound: the buffer has as many bytes as are asked for.
        let count = unsafe ckvm_read(keys, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }
}
