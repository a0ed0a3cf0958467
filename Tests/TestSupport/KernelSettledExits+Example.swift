@testable import Counters
@testable import Tracepoints

extension KernelSettledExits {
    /// Exits for one of SVM's codes. Times in nanoseconds.
    struct ExampleReason {
        var code: UInt32
        var reason: UInt32?
        /// What KVM took for each of those that it settled.
        var settled: [UInt64] = []
        /// How many it passed on, and how many of those that it settled carried a CPUID.
        var passedOn: UInt64 = 0
        var carried: UInt64 = 0
        var halted: UInt64 = 0
    }

    /// Counts of one vCPU that were never made.
    static func example(
        _ reasons: [ExampleReason], kernelCount: UInt64? = nil
    ) -> KernelSettledExits {
        let rows = reasons.map { example in
            var slot = ExitSlot()
            slot.count = UInt64(example.settled.count) + example.passedOn
            slot.finished = slot.count
            slot.user = example.passedOn
            slot.nanosecondsKernel = example.settled.reduce(0, +)
            slot.nanosecondsToUser = example.passedOn * 1000
            slot.nanosecondsHalted = example.halted
            slot.maximum = example.settled.max() ?? 0
            var histogram = [UInt64](repeating: 0, count: ExitSlot.bucketCount)
            for time in example.settled { histogram[63 - max(time, 1).leadingZeroBitCount] += 1 }
            var row = Row(code: example.code, reason: example.reason.flatMap(BasicExitReason.init(rawValue:)))
            row.add(slot, histogram)
            row.carry(example.carried)
            return row
        }
        return KernelSettledExits(
            isSVM: true, rows: rows, vcpus: [rows], kernelCount: kernelCount, cyclesPerNanosecond: 2)
    }
}
