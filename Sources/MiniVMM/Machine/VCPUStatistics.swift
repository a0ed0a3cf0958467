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
    init(sumOf only: VCPUStatistics) {
        self.init(
            vcpu: nil,
            kinds: only.kinds,
            runCycles: only.runCycles,
            internalExits: only.internalExits,
            internalCycles: only.internalCycles
        )
    }

    /// What the counters of stopped vCPUs say.
    init(vcpu: Int?, counters: [ExitCounters]) {
        self.init(
            vcpu: vcpu,
            kinds: ExitKind.allCases.compactMap { KindStatistics($0, of: counters) },
            runCycles: counters.reduce(0) { $0 &+ $1.runCycles },
            internalExits: counters.reduce(0) { $0 &+ $1.internalExits },
            internalCycles: counters.reduce(0) { $0 &+ $1.internalCycles }
        )
    }
}
