/// What the counters of all vCPUs said at some moment of a run.
///
/// Each number is a recent one, and they need not be of the same instant: nothing is stopped to read them.
public struct CounterSnapshot: Hashable, Sendable {
    /// What there was of one kind of exit.
    public struct Kind: Hashable, Sendable {
        /// The kind.
        public let kind: ExitKind
        /// How many there were, those in progress included.
        public let exits: UInt64
        /// The service time of those that have finished, in cycles.
        public let serviceCycles: UInt64
        /// The longest service time, in cycles.
        public let max: UInt64

        /// The mean service time, in cycles.
        public var mean: Double { exits == 0 ? 0 : Double(serviceCycles) / Double(exits) }
    }

    /// The kinds of which there was an exit, in the order of ``ExitKind``.
    public let kinds: [Kind]
    /// Time in KVM_RUN, in cycles, up to the latest exit.
    public let runCycles: UInt64
    /// Exits that MiniVMM caused itself, which are in no other number.
    public let internalExits: UInt64
    /// What those took, in cycles.
    public let internalCycles: UInt64

    /// The exits of all kinds.
    public var exits: UInt64 { kinds.reduce(0) { $0 &+ $1.exits } }
    /// The service time of all exits, in cycles.
    public var serviceCycles: UInt64 { kinds.reduce(0) { $0 &+ $1.serviceCycles } }

    /// What the counters say. The histograms are left alone: those are for the vCPUs' threads.
    init(_ table: ExitCounterTable) {
        let counters = (0..<table.vcpuCount).map { table.counters(of: $0) }
        kinds = ExitKind.allCases.compactMap { kind in
            let exits = counters.reduce(0) { $0 &+ $1.exits(of: kind) }
            guard exits > 0 else { return nil }
            return Kind(
                kind: kind,
                exits: exits,
                serviceCycles: counters.reduce(0) { $0 &+ $1.serviceCycles(of: kind) },
                max: counters.reduce(0) { Swift.max($0, $1.greatestServiceCycles(of: kind)) })
        }
        runCycles = counters.reduce(0) { $0 &+ $1.runCycles }
        internalExits = counters.reduce(0) { $0 &+ $1.internalExits }
        internalCycles = counters.reduce(0) { $0 &+ $1.internalCycles }
    }
}
