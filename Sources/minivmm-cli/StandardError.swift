import MiniVMM

/// Messages for the person who ran the command.
enum StandardError {
    /// Writes a message, in place of the line about the run. There is nobody to tell when that fails.
    static func write(_ text: String) {
        let file = OutputFile.standardError
        let shown = Terminal.isRaw && file.isTerminal ? Terminal.raw(text) : text
        LiveStatus.line.makeWay(forTextEndingIn: shown.utf8.last) { try? file.write(Array(shown.utf8)) }
    }
}

extension StandardError {
    /// The same for what writes to a stream.
    struct Stream: TextOutputStream, Sendable {
        func write(_ text: String) {
            StandardError.write(text)
        }
    }
}
