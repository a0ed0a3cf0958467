extension Machine {
    /// The counters so far. At any time, on any thread.
    public var countersSoFar: CounterSnapshot { CounterSnapshot(parts.counters) }

    /// Whether the guest is a flat image, without an operating system that would handle a terminal.
    public var isFlat: Bool { parts.firmwarePort != nil }
}
