/// What KVM itself counted of some vCPUs: the counts that are not zero, by KVM's names for them.
///
/// Histograms are left out: they are no counts.
struct KernelCounts {
    /// The counts, in KVM's order. Those of several vCPUs are added; of peaks it is the greatest.
    let counts: [(name: String, value: UInt64)]

    init(_ statistics: [KernelStatistics]) {
        var names: [String] = []
        var values: [String: UInt64] = [:]
        for statistic in statistics.flatMap(\.statistics) {
            guard let value = statistic.value, value > 0 else { continue }
            guard let sum = values[statistic.name] else {
                names.append(statistic.name)
                values[statistic.name] = value
                continue
            }
            values[statistic.name] = statistic.kind == .peak ? max(sum, value) : sum &+ value
        }
        counts = names.map { ($0, values[$0] ?? 0) }
    }

    /// The count with a name; 0 when there is none.
    subscript(name: String) -> UInt64 { counts.first { $0.name == name }?.value ?? 0 }

    /// How KVM's count of exits relates to MiniVMM's: a sentence, or none where KVM does not count them.
    ///
    /// MiniVMM's own exits, single steps for one, are exits to KVM like all others.
    func relation(to statistics: VCPUStatistics) -> String? {
        let kernel = self["exits"]
        guard kernel > 0 else { return nil }
        let ours = statistics.exits &+ statistics.internalExits
        guard kernel >= ours else {
            return "KVM counts \(kernel) exits and MiniVMM \(ours): some left KVM_RUN without entering the guest."
        }
        let settled = kernel - ours
        return "Of KVM's \(kernel) exits \(ours) came out to MiniVMM; "
            + "KVM settled \(settled) itself (\(HumanNumber.share(settled, of: kernel)))."
    }
}
