/// What KVM itself counted of one vCPU, in the JSON format: what is not zero, by KVM's names.
struct KernelRecord: Encodable {
    let vcpu: Int
    let counts: [String: UInt64]

    init(vcpu: Int, _ statistics: KernelStatistics) {
        self.vcpu = vcpu
        counts = Dictionary(KernelCounts([statistics]).counts.map { ($0.name, $0.value) }) { first, _ in first }
    }
}
