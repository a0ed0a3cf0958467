import CKVM

/// KVM's own count of the exits of a machine's vCPUs, as the statistic `exits` has it, at the cost of one pread(2) a vCPU.
///
/// Any thread may read.
public final class KernelExits: Sendable {
    /// A vCPU's statistics, and where its `exits` stands in them.
    private struct Counter: Sendable {
        let file: KernelStatisticsFile
        let offset: Int64
    }

    private let counters: [Counter]

    /// Finds the counts of vCPUs that do not run yet.
    ///
    /// - Returns: nil where KVM has no such statistic (before Linux 5.14).
    /// - Throws: ``KVMError`` when the statistics cannot be read, or do not make sense.
    init?(of vcpus: [VCPU]) throws(KVMError) {
        var counters: [Counter] = []
        for vcpu in vcpus {
            guard let file = try vcpu.openKernelStatistics(), let offset = try file.offset(of: "exits") else {
                return nil
            }
            counters.append(Counter(file: file, offset: offset))
        }
        self.counters = counters
    }

    /// The exits of all vCPUs so far: those that reached MiniVMM, and those that KVM settled alone. Modulo 2^64.
    public var total: UInt64 {
        var sum: UInt64 = 0
        for counter in counters { sum &+= counter.file.number(at: counter.offset) ?? 0 }
        return sum
    }
}
