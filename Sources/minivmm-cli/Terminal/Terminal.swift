import CKVM
import Devices

/// A terminal that a person sits at, and that a run can take over.
///
/// While a run has it, it is in raw mode: every key goes to the guest, Ctrl-C included, and what the guest writes is
/// not changed. Its modes are put back however the run ends: at the end of the run, at exit(3), and by signals,
/// those of a crash among them. After SIGSTOP, SIGTSTP and SIGCONT, and for a process in the background, the rules of
/// job control apply: only in the foreground is the terminal touched.
struct Terminal: Sendable {
    /// The descriptor, which is not closed.
    let descriptor: Int32

    /// The terminal behind a descriptor; nil when there is none.
    init?(descriptor: Int32) {
        guard isatty(descriptor) == 1 else { return nil }
        self.descriptor = descriptor
    }

    /// Whether the terminal that a run has taken over is in raw mode.
    static var isRaw: Bool { ckvm_terminal_is_raw() }

    /// Text as a terminal in raw mode needs it: there, a newline is a line feed and leaves the cursor in its column.
    static func raw(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
    }

    /// Takes the terminal over for a run.
    ///
    /// - Parameter wake: An eventfd that is written to when the terminal needs to be made raw again.
    /// - Returns: Whether it worked. It does not when another run of this process has a terminal.
    func takeOver(wake: Int32) -> Bool {
        ckvm_terminal_take_over(descriptor, wake) == 0
    }

    /// Puts the terminal into raw mode, if this is the time and it is not yet. For whoever has taken it over.
    static func makeRaw() {
        // When the terminal refuses, it stays as it is, and the guest's input comes line by line.
        _ = ckvm_terminal_make_raw()
    }

    /// Gives the terminal back as it was found. For whoever has taken it over.
    static func release() {
        ckvm_terminal_release()
    }
}

/// A terminal as a guest's console, with the keys by which a person talks to MiniVMM.
struct TerminalConsole: InteractiveConsole {
    let terminal: Terminal
    /// Called with what a person asks for, on the thread that reads, where it may take its time.
    let action: @Sendable (EscapeKeys.Action) -> Void

    var descriptor: Int32 { terminal.descriptor }

    func takeOver(wake: Int32) -> Bool {
        terminal.takeOver(wake: wake)
    }

    func prepareToRead() -> Bool {
        guard ckvm_is_foreground(descriptor) else { return false }
        Terminal.makeRaw()
        return true
    }

    func makeSorter() -> (UInt8, inout ArraySlice<UInt8>) -> Bool {
        var keys = EscapeKeys()
        return { [action] byte, guest in
            guard let asked = keys.take(byte, guest: &guest) else { return false }
            action(asked)
            return asked == .quit
        }
    }

    func release() {
        Terminal.release()
    }
}

extension ConsoleSource {
    /// A terminal that is the guest's alone while it runs, in raw mode.
    static func terminal(
        _ terminal: Terminal, action: @escaping @Sendable (EscapeKeys.Action) -> Void
    ) -> ConsoleSource {
        .interactive(TerminalConsole(terminal: terminal, action: action))
    }
}

/// The keys by which a person at the guest's terminal talks to MiniVMM: Ctrl-A, and then another.
///
/// Any other key after Ctrl-A has no meaning here, and both go to the guest.
struct EscapeKeys: Sendable {
    /// What a person asks MiniVMM for.
    enum Action: Hashable, Sendable {
        /// End the run.
        case quit
        /// Show the counters so far.
        case showCounters
        /// Show the keys.
        case help
    }

    /// Ctrl-A.
    static let prefix: UInt8 = 0x01

    /// The keys and what they do, a line each.
    static let help = """
        Ctrl-A X       end the run
        Ctrl-A C       show the counters so far
        Ctrl-A H       show these keys
        Ctrl-A Ctrl-A  send a Ctrl-A to the guest
        """

    /// Whether the key before was a Ctrl-A whose meaning is still open.
    private var hasPrefix = false

    /// No key yet.
    init() {}

    /// Takes the next byte from the terminal.
    ///
    /// - Parameters:
    ///   - byte: The byte.
    ///   - guest: What is for the guest is added here.
    /// - Returns: What is for MiniVMM.
    mutating func take(_ byte: UInt8, guest: inout some RangeReplaceableCollection<UInt8>) -> Action? {
        guard hasPrefix else {
            hasPrefix = byte == Self.prefix
            if !hasPrefix { guest.append(byte) }
            return nil
        }
        hasPrefix = false
        switch byte {
        case UInt8(ascii: "x"), UInt8(ascii: "X"): return .quit
        case UInt8(ascii: "c"), UInt8(ascii: "C"): return .showCounters
        case UInt8(ascii: "h"), UInt8(ascii: "H"), UInt8(ascii: "?"): return .help
        case Self.prefix, UInt8(ascii: "a"), UInt8(ascii: "A"): guest.append(Self.prefix)
        default: guest.append(contentsOf: [Self.prefix, byte])
        }
        return nil
    }
}
