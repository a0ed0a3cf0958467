/// The keys by which a person at the guest's terminal talks to MiniVMM: Ctrl-A, and then another.
///
/// Any other key after Ctrl-A has no meaning here, and both go to the guest.
public struct EscapeKeys: Sendable {
    /// What a person asks MiniVMM for.
    public enum Action: Hashable, Sendable {
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
    public static let help = """
        Ctrl-A X       end the run
        Ctrl-A C       show the counters so far
        Ctrl-A H       show these keys
        Ctrl-A Ctrl-A  send a Ctrl-A to the guest
        """

    /// Whether the key before was a Ctrl-A whose meaning is still open.
    private var hasPrefix = false

    /// No key yet.
    public init() {}

    /// Takes the next byte from the terminal.
    ///
    /// - Parameters:
    ///   - byte: The byte.
    ///   - guest: What is for the guest is added here.
    /// - Returns: What is for MiniVMM.
    public mutating func take(_ byte: UInt8, guest: inout some RangeReplaceableCollection<UInt8>) -> Action? {
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
