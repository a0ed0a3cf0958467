/// What a run came to.
public struct RunStatistics: Hashable, Sendable {
    /// All vCPUs together.
    public let total: VCPUStatistics
    /// Each vCPU.
    public let vcpus: [VCPUStatistics]
}

extension RunStatistics {
    /// What the counters say. Only when the vCPUs are stopped.
    package init(_ table: ExitCounterTable) {
        let counters = (0..<table.vcpuCount).map { table.counters(of: $0) }
        let vcpus = counters.enumerated().map { VCPUStatistics(vcpu: $0.offset, counters: [$0.element]) }
        // A machine with one vCPU has nothing to add up.
        let sum = vcpus.count == 1 ? vcpus.first.map(VCPUStatistics.init(sumOf:)) : nil
        self.init(total: sum ?? VCPUStatistics(vcpu: nil, counters: counters), vcpus: vcpus)
    }
}

/// What a run came to on one vCPU, or on all of them together.
public struct VCPUStatistics: Hashable, Sendable {
    /// The number of the vCPU; nil for all of them together.
    public let vcpu: Int?
    /// The kinds of which there was an exit, in the order of ``ExitKind``.
    public let kinds: [KindStatistics]
    /// Time in KVM_RUN, in cycles: the guest's and the kernel's.
    public let runCycles: UInt64
    /// Exits that MiniVMM caused itself, which are in no other number.
    public let internalExits: UInt64
    /// What those took, in cycles.
    public let internalCycles: UInt64

    /// The exits of all kinds.
    public var exits: UInt64 { kinds.reduce(0) { $0 &+ $1.exits } }
    /// The service time of all exits, in cycles.
    public var serviceCycles: UInt64 { kinds.reduce(0) { $0 &+ $1.serviceCycles } }

    /// The kind of which there were most exits; the first of several.
    public var mostFrequent: KindStatistics? { first(by: \.exits) }
    /// The kind that took most service time; the first of several.
    public var mostExpensive: KindStatistics? { first(by: \.serviceCycles) }

    private func first(by number: KeyPath<KindStatistics, UInt64>) -> KindStatistics? {
        kinds.reduce(nil as KindStatistics?) { best, kind in
            guard let best else { return kind }
            return kind[keyPath: number] > best[keyPath: number] ? kind : best
        }
    }
}

extension VCPUStatistics {
    /// What a run came to whose only vCPU is the given one.
    package init(sumOf only: VCPUStatistics) {
        self.init(
            vcpu: nil,
            kinds: only.kinds,
            runCycles: only.runCycles,
            internalExits: only.internalExits,
            internalCycles: only.internalCycles
        )
    }

    /// What the counters of stopped vCPUs say.
    package init(vcpu: Int?, counters: [ExitCounters]) {
        self.init(
            vcpu: vcpu,
            kinds: ExitKind.allCases.compactMap { KindStatistics($0, of: counters) },
            runCycles: counters.reduce(0) { $0 &+ $1.runCycles },
            internalExits: counters.reduce(0) { $0 &+ $1.internalExits },
            internalCycles: counters.reduce(0) { $0 &+ $1.internalCycles }
        )
    }
}

/// What a run's exits of one kind came to.
public struct KindStatistics: Hashable, Sendable {
    /// The kind.
    public let kind: ExitKind
    /// How many there were.
    public let exits: UInt64
    /// The service time of all of them, in cycles.
    public let serviceCycles: UInt64
    /// The median of the service times, in cycles, to two significant digits.
    public let p50: UInt64
    /// The 99th percentile of the service times, in cycles, to two significant digits.
    public let p99: UInt64
    /// The longest service time, in cycles.
    public let max: UInt64

    /// The mean service time, in cycles.
    public var mean: Double { exits == 0 ? 0 : Double(serviceCycles) / Double(exits) }
}

extension KindStatistics {
    /// The sum over several vCPUs. Only when they are stopped.
    ///
    /// - Returns: nil when there was no such exit.
    package init?(_ kind: ExitKind, of counters: [ExitCounters]) {
        exits = counters.reduce(0) { $0 &+ $1.exits(of: kind) }
        guard exits > 0 else { return nil }
        self.kind = kind
        serviceCycles = counters.reduce(0) { $0 &+ $1.serviceCycles(of: kind) }
        max = counters.reduce(0) { Swift.max($0, $1.maximumServiceCycles(of: kind)) }
        let histogram = ServiceTimeHistogram(kind, of: counters)
        (p50, p99) = histogram.medianAnd99th
    }
}

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
    /// What KVM settled itself, if every exit is counted: in no other number.
    public let kernelSettled: KernelSettledExits?

    /// The exits of all kinds.
    public var exits: UInt64 { kinds.reduce(0) { $0 &+ $1.exits } }
    /// The service time of all exits, in cycles.
    public var serviceCycles: UInt64 { kinds.reduce(0) { $0 &+ $1.serviceCycles } }

    /// What the counters say.
    ///
    /// - Parameters:
    ///   - vcpu: The vCPU whose counters are meant; nil for all.
    ///   - kernelSettled: What KVM settled, if every exit is counted.
    package init(_ table: ExitCounterTable, vcpu: Int? = nil, kernelSettled: KernelSettledExits? = nil) {
        self.kernelSettled = kernelSettled
        let counters = (vcpu.map { [$0] } ?? Array(0..<table.vcpuCount)).map { table.counters(of: $0) }
        kinds = ExitKind.allCases.compactMap { kind in
            let exits = counters.reduce(0) { $0 &+ $1.exits(of: kind) }
            guard exits > 0 else { return nil }
            return Kind(
                kind: kind,
                exits: exits,
                serviceCycles: counters.reduce(0) { $0 &+ $1.serviceCycles(of: kind) },
                max: counters.reduce(0) { Swift.max($0, $1.maximumServiceCycles(of: kind)) })
        }
        runCycles = counters.reduce(0) { $0 &+ $1.runCycles }
        internalExits = counters.reduce(0) { $0 &+ $1.internalExits }
        internalCycles = counters.reduce(0) { $0 &+ $1.internalCycles }
    }
}
