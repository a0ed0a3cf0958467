@testable import MiniVMM

/// A run that was never made: its counters are booked with known times, so that its reports are known to the letter.
enum SampleRun {
    /// The service times of exits of one kind, in cycles.
    typealias Times = (kind: ExitKind, cycles: [UInt64])

    /// A run with the given exits, one vCPU for each list. The time-stamp counter runs at 2 GHz.
    static func outcome(
        _ vcpus: [[Times]],
        ending: RunEnding = .halted,
        runCycles: UInt64 = 0,
        duration: Duration = .milliseconds(250),
        tscKHz: UInt32? = 2_000_000
    ) -> RunOutcome {
        RunOutcome(
            ending: ending, statistics: statistics(vcpus, runCycles: runCycles), duration: duration,
            tscKHz: tscKHz, trap: .none, unclaimedPorts: [], unclaimedPages: [])
    }

    /// Statistics of the given exits. What it took to make the histograms is real time, and is left out.
    static func statistics(_ vcpus: [[Times]], runCycles: UInt64 = 0) -> RunStatistics {
        func exact(_ statistics: VCPUStatistics, _ runCycles: UInt64) -> VCPUStatistics {
            VCPUStatistics(
                vcpu: statistics.vcpu, kinds: statistics.kinds, runCycles: runCycles, internalExits: 0,
                internalCycles: 0)
        }
        let counted = RunStatistics(table(vcpus))
        return RunStatistics(
            total: exact(counted.total, runCycles * UInt64(vcpus.count)),
            vcpus: counted.vcpus.map { exact($0, runCycles) })
    }

    /// Counters with the given exits.
    static func table(_ vcpus: [[Times]]) -> ExitCounterTable {
        let table = ExitCounterTable(vcpuCount: vcpus.count)
        for (index, exits) in vcpus.enumerated() {
            let counters = table.counters(of: index)
            for (kind, times) in exits {
                for cycles in times {
                    counters.begin(kind)
                    _ = counters.finish(kind, serviceCycles: cycles)
                }
            }
        }
        return table
    }
}
