/// A run that is over: how it ended and what it came to.
public struct RunOutcome: Sendable {
    /// How it ended.
    public let ending: RunEnding
    /// The exits and their cost.
    public let statistics: RunStatistics
    /// From the first vCPU's start to the last one's end.
    public let duration: Duration
    /// The frequency of the time-stamp counter in kHz, where it is known: cycles divided by it are milliseconds.
    public let tscKHz: UInt32?
    /// The CPUID trap that was used; never `auto`.
    public let trap: CPUIDTrap
    /// Ports that nobody claims and the guest touched, in ascending order.
    public let unclaimedPorts: [UnclaimedAddress]
    /// Pages of addresses without memory that nobody claims and the guest touched, in ascending order.
    public let unclaimedPages: [UnclaimedAddress]
}
