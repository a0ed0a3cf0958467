import CKVM
import Glibc

/// The eBPF programs that the kernel has loaded, whoever loaded them.
struct LoadedPrograms {
    private let before: Set<Int64>

    /// Those that there are now.
    init() {
        before = Self.all
    }

    /// How many have come since.
    var newCount: Int { Self.all.subtracting(before).count }

    /// How many have come since, when the kernel has had time to let go of those that nobody can be running any more.
    var remainingCount: Int {
        for _ in 0..<1_000_000 where newCount > 0 { sched_yield() }
        return newCount
    }

    private static var all: Set<Int64> {
        var all: Set<Int64> = []
        var last: UInt32 = 0
        while case let next = ckvm_bpf_next_program(last), next >= 0 {
            all.insert(next)
            last = UInt32(next)
        }
        return all
    }
}
