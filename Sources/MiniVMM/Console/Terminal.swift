import CKVM

/// A terminal that a person sits at, and that a run can take over.
///
/// While a run has it, it is in raw mode: every key goes to the guest, Ctrl-C included, and what the guest writes is
/// not changed. Its modes are put back however the run ends: at the end of the run, at exit(3), and by signals,
/// those of a crash among them. After SIGSTOP, SIGTSTP and SIGCONT, and for a process in the background, the rules of
/// job control apply: only in the foreground is the terminal touched.
public struct Terminal: Sendable {
    /// The descriptor, which is not closed.
    public let descriptor: Int32

    /// The terminal behind a descriptor; nil when there is none.
    public init?(descriptor: Int32) {
        guard isatty(descriptor) == 1 else { return nil }
        self.descriptor = descriptor
    }

    /// Whether the terminal that a run has taken over is in raw mode.
    public static var isRaw: Bool { ckvm_terminal_is_raw() }

    /// Text as a terminal in raw mode needs it: there, a newline is a line feed and leaves the cursor in its column.
    public static func raw(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
    }

    /// Takes the terminal over for a run.
    ///
    /// - Parameter bell: Rung when the terminal needs to be made raw again; it must last until ``release()``.
    /// - Returns: Whether it worked. It does not when another run of this process has a terminal.
    func takeOver(wakingBy bell: Doorbell) -> Bool {
        ckvm_terminal_take_over(descriptor, bell.descriptor) == 0
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
