@testable import Counters
import Host

extension RunOutcome {
    /// Exits of one kind with given service times, in cycles.
    struct ExampleExits {
        let kind: ExitKind
        let cycles: [UInt64]

        init(_ kind: ExitKind, _ cycles: [UInt64]) {
            self.kind = kind
            self.cycles = cycles
        }
    }

    /// A run that was never made, with fixed numbers in the counters. One vCPU for each list.
    static func example(
        _ vcpus: [[ExampleExits]],
        ending: RunEnding = .halted,
        runCycles: UInt64 = 0,
        internalCycles: [UInt64] = [],
        duration: Duration = .milliseconds(250),
        tscKHz: UInt32? = 2_000_000,
        trap: CPUIDTrap = .debug,
        unclaimedPorts: [UnclaimedAddress] = [],
        unclaimedPages: [UnclaimedAddress] = []
    ) -> RunOutcome {
        let table = ExitCounterTable.inMemory(vcpuCount: vcpus.count)
        for (index, exits) in vcpus.enumerated() {
            let counters = table.counters(of: index)
            for exit in exits {
                for cycles in exit.cycles {
                    counters.begin(exit.kind)
                    _ = counters.finish(exit.kind, serviceCycles: cycles)
                }
            }
        }
        // The counters' own time for these is real, and different each time.
        func fix(_ measured: VCPUStatistics, times count: UInt64) -> VCPUStatistics {
            VCPUStatistics(
                vcpu: measured.vcpu,
                kinds: measured.kinds,
                runCycles: runCycles * count,
                internalExits: UInt64(internalCycles.count) * count,
                internalCycles: internalCycles.reduce(0, +) * count
            )
        }
        let measured = RunStatistics(table)
        return RunOutcome(
            ending: ending,
            statistics: RunStatistics(
                total: fix(measured.total, times: UInt64(vcpus.count)),
                vcpus: measured.vcpus.map { fix($0, times: 1) }
            ),
            duration: duration,
            tscKHz: tscKHz,
            trap: trap,
            unclaimedPorts: unclaimedPorts,
            unclaimedPages: unclaimedPages
        )
    }
}

extension ExitCounterTable {
    /// A table for tests, which need not care what happens when there is no memory.
    static func inMemory(vcpuCount: Int) -> ExitCounterTable {
        do {
            return try ExitCounterTable(vcpuCount: vcpuCount)
        } catch {
            fatalError(error.explanation)
        }
    }
}
