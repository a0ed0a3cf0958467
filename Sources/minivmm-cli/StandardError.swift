import Glibc

/// Messages for the person who ran the command.
enum StandardError {
    /// Writes a message. There is nobody to tell when that fails.
    static func write(_ text: String) {
        try? OutputFile.standardError.write(Array(text.utf8))
    }
}
