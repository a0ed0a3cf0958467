/// A file or directory of the host that is put into the guest besides what the program needs.
public struct ExecAddition: Hashable, Sendable {
    /// The path on the host.
    public let source: String
    /// The path in the guest; nil for the same.
    public let destination: String?

    /// An addition.
    public init(source: String, destination: String? = nil) {
        self.source = source
        self.destination = destination
    }

    /// Reads `SOURCE` or `SOURCE:DESTINATION`. The last colon divides.
    public init(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else {
            self.init(source: text)
            return
        }
        self.init(source: String(text[..<colon]), destination: String(text[text.index(after: colon)...]))
    }
}
