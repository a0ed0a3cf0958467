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
    /// Exits over time, if the machine was to keep that.
    public internal(set) var timeline: ExitTimeline?
    /// How the service times are distributed, by kind, if the machine was to keep the exits over time.
    public internal(set) var distributions: [ServiceTimeDistribution] = []
    /// KVM's own statistics of each vCPU, if the machine was to read them and this KVM has any.
    public internal(set) var kernelStatistics: [KernelStatistics] = []
    /// The exits one by one, if the machine was to keep them.
    public internal(set) var trace: ExitTrace?
}

extension RunOutcome {
    /// ``duration`` in seconds.
    var seconds: Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
