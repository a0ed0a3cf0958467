/// Where a guest's console input comes from.
public enum ConsoleSource: Sendable {
    /// A descriptor, such as a pipe, a file or a terminal with line editing. Nothing is read before the guest asks for
    /// input, so what it does not want is left to others; but what is read is read in pieces larger than a byte.
    case stream(Int32)
    /// A terminal that is the guest's alone while it runs, in raw mode. It is read from at all times, for the sake of
    /// the escape keys. Those are handed to `action`, on the thread that reads, where it may take its time.
    case terminal(Terminal, action: @Sendable (EscapeKeys.Action) -> Void)
}

extension ConsoleSource {
    /// The descriptor that is read from.
    var descriptor: Int32 {
        switch self {
        case .stream(let descriptor): descriptor
        case .terminal(let terminal, _): terminal.descriptor
        }
    }

    /// How many bytes may wait for the guest before no more are read.
    ///
    /// For a terminal it is more than a person types or pastes while a guest does not listen, for until it is reached
    /// the escape keys work.
    var capacity: Int {
        switch self {
        case .stream: 1
        case .terminal: 1 << 20
        }
    }
}
