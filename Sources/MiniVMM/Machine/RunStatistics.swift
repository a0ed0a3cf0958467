/// What a run came to.
public struct RunStatistics: Hashable, Sendable {
    /// All vCPUs together.
    public let total: VCPUStatistics
    /// Each vCPU.
    public let vcpus: [VCPUStatistics]
}

extension RunStatistics {
    /// What the counters say. Only when the vCPUs are stopped.
    init(_ table: ExitCounterTable) {
        let counters = (0..<table.vcpuCount).map { table.counters(of: $0) }
        let vcpus = counters.enumerated().map { VCPUStatistics(vcpu: $0.offset, counters: [$0.element]) }
        // A machine with one vCPU has nothing to add up.
        let sum = vcpus.count == 1 ? vcpus.first.map(VCPUStatistics.init(sumOf:)) : nil
        self.init(total: sum ?? VCPUStatistics(vcpu: nil, counters: counters), vcpus: vcpus)
    }
}
