import MiniVMM

/// Messages for the person who ran the command.
enum StandardError {
    /// Writes a message. There is nobody to tell when that fails.
    static func write(_ text: String) {
        let file = OutputFile.standardError
        LiveStatus.line.wipe()
        let shown = Terminal.isRaw && file.isTerminal ? Terminal.raw(text) : text
        try? file.write(Array(shown.utf8))
    }
}
