import MiniVMM

/// A line on standard error that says how far things are, for as long as it is a terminal.
struct ProgressLine {
    private let isShown = OutputFile.standardError.isTerminal

    /// Replaces the line.
    func show(_ text: String) {
        if isShown { StandardError.write("\r\u{1b}[K" + text) }
    }

    /// Removes the line.
    func wipe() {
        show("")
    }
}
