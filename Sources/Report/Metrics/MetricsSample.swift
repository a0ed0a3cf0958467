package import Counters
import Host

/// What the counters of a run say at one moment, as monitoring systems want it: numbers that only rise, by kind, vCPU and
/// who settles the exits, and how long they took.
package struct MetricsSample: Hashable, Sendable {
    /// Who settles exits.
    package enum Settler: String, Sendable {
        /// The kernel's KVM, without leaving the kernel.
        case kvm
        /// MiniVMM, after KVM_RUN has returned.
        case miniVMM = "minivmm"
        /// Another process, whose exits are watched.
        case vmm
    }

    /// The exits of one kind, or for one reason, on one vCPU.
    package struct Exits: Hashable, Sendable {
        /// What tells them from others.
        package struct Key: Hashable, Sendable {
            package let kind: String
            package let sdm: UInt32?
            package let vcpu: Int
            package let settler: Settler
        }

        package let key: Key
        package fileprivate(set) var count: UInt64
        /// How many of those that have finished are in each of ``MetricsSample/bounds``, and how many took longer; nil where
        /// only their sum is known.
        package let buckets: [UInt64]?
        /// What those that have finished took, in nanoseconds.
        package let nanoseconds: Double
    }

    /// A vCPU of MiniVMM's as a whole. Times in nanoseconds.
    package struct VCPU: Hashable, Sendable {
        /// Time in KVM_RUN.
        package let runNanoseconds: Double
        /// Exits that MiniVMM caused itself.
        package let internalExits: UInt64
        /// What those took.
        package let internalNanoseconds: Double
    }

    /// The upper bounds of the buckets, in nanoseconds: powers of two, as KVM's tracepoints are counted by them, from 128 ns
    /// to 16.8 ms.
    package static let bounds: [UInt64] = (7...24).map { 1 << $0 }

    /// Since the start, in seconds.
    package let elapsed: Double
    /// Whether the guest still runs, or is watched.
    package let isRunning: Bool
    package private(set) var exits: [Exits]
    /// Those of MiniVMM's own machine; none where another process is watched.
    package let vcpus: [VCPU]
    /// What each vCPU slept in exits that KVM settled, in nanoseconds; nil where these are not counted.
    package let haltedNanoseconds: [UInt64]?
    /// Exits that are in no row, of vCPUs that had no place; nil where there are none such.
    package let lostExits: UInt64?

    /// Whether the exits are counted that KVM settles itself.
    package var countsKernel: Bool { haltedNanoseconds != nil }
}

extension MetricsSample {
    /// The counters of a run's vCPUs.
    ///
    /// - Parameters:
    ///   - isRunning: Whether the guest still runs. Then exits in progress are left out of what KVM settles, because nobody
    ///     knows yet whether it will: no number is ever above the last.
    ///   - vcpus: The counters of each.
    ///   - times: How long the exits took, of each vCPU and kind.
    ///   - kernelSettled: What KVM settled itself, if every exit is counted.
    ///   - tscKHz: The frequency of the time-stamp counter; where it is not known, a cycle passes for a nanosecond.
    package init(
        elapsed: Duration, isRunning: Bool, vcpus: [CounterSnapshot],
        times: (_ kind: ExitKind, _ vcpu: Int) -> ServiceTimeHistogram, kernelSettled: KernelSettledExits?,
        tscKHz: UInt32?
    ) {
        let scale = 1e6 / Double(tscKHz ?? 1_000_000)
        let own = vcpus.enumerated().flatMap { index, counters in
            counters.kinds.map { kind in
                Exits(
                    key: Exits.Key(
                        kind: kind.kind.name, sdm: kind.kind.basicExitReason?.rawValue, vcpu: index, settler: .miniVMM),
                    count: kind.exits, buckets: Self.buckets(times(kind.kind, index), scale: scale),
                    nanoseconds: Double(kind.serviceCycles) * scale)
            }
        }
        self.elapsed = elapsed.inSeconds
        self.isRunning = isRunning
        exits = own + (kernelSettled.map { Self.settled($0, isRunning: isRunning) } ?? [])
        self.vcpus = vcpus.map { counters in
            VCPU(
                runNanoseconds: Double(counters.runCycles) * scale, internalExits: counters.internalExits,
                internalNanoseconds: Double(counters.internalCycles) * scale)
        }
        haltedNanoseconds = kernelSettled.map { settled in
            vcpus.indices.map { Self.haltedNanoseconds(settled.rows(ofVCPU: $0)) }
        }
        lostExits = nil
    }

    /// The exits of another process's vCPUs.
    ///
    /// - Parameters:
    ///   - isRunning: Whether it is still watched.
    ///   - watched: What was counted, the exits included that were passed on to the process.
    ///   - lostExits: Those that are in no row.
    package init(elapsed: Duration, isRunning: Bool, watched: KernelSettledExits, lostExits: UInt64) {
        self.elapsed = elapsed.inSeconds
        self.isRunning = isRunning
        let passedOn = watched.vcpus.enumerated().flatMap { index, rows in
            KernelSettledExits.Row.byReason(rows).filter { $0.passedOnExits > 0 }.map { row in
                Exits(
                    key: Exits.Key(
                        kind: row.name(isSVM: watched.isSVM), sdm: row.reason?.rawValue, vcpu: index, settler: .vmm),
                    count: row.passedOnExits, buckets: nil,
                    nanoseconds: Double(row.passedOnNanoseconds &+ row.userNanoseconds))
            }
        }
        exits = Self.settled(watched, isRunning: isRunning) + passedOn
        vcpus = []
        haltedNanoseconds = watched.vcpus.map(Self.haltedNanoseconds)
        self.lostExits = lostExits
    }

    /// The exits that KVM settled.
    private static func settled(_ settled: KernelSettledExits, isRunning: Bool) -> [Exits] {
        settled.vcpus.enumerated().flatMap { index, rows in
            KernelSettledExits.Row.byReason(rows).compactMap { row in
                let count = isRunning ? row.exitsAtLeast : row.exits
                guard count > 0 || row.histogram.contains(where: { $0 > 0 }) else { return nil }
                return Exits(
                    key: Exits.Key(
                        kind: row.name(isSVM: settled.isSVM), sdm: row.reason?.rawValue, vcpu: index, settler: .kvm),
                    count: count, buckets: buckets(row.histogram), nanoseconds: Double(row.nanoseconds))
            }
        }
    }

    private static func haltedNanoseconds(_ rows: [KernelSettledExits.Row]) -> UInt64 {
        rows.reduce(0) { $0 &+ $1.haltedNanoseconds }
    }

    /// Cycles by ``bounds``. A time counts as the end of its bucket in the histogram, which is above it by less than 0.79 %.
    private static func buckets(_ times: ServiceTimeHistogram, scale: Double) -> [UInt64] {
        var buckets = [UInt64](repeating: 0, count: bounds.count + 1)
        times.forEach { longest, count in
            let nanoseconds = Double(longest) * scale
            buckets[bounds.firstIndex { nanoseconds <= Double($0) } ?? bounds.count] &+= count
        }
        return buckets
    }

    /// Numbers of times from 2^n up to 2^(n+1) nanoseconds by ``bounds``.
    private static func buckets(_ histogram: [UInt64]) -> [UInt64] {
        var buckets = [UInt64](repeating: 0, count: bounds.count + 1)
        for (power, count) in histogram.enumerated() {
            buckets[bounds.firstIndex { UInt64(2) << UInt64(power) <= $0 } ?? bounds.count] &+= count
        }
        return buckets
    }

    /// Takes for each number of exits the one of an earlier sample where that was higher: numbers are read one after the
    /// other while the guest runs.
    package mutating func keepRising(after last: [Exits.Key: UInt64]) {
        for index in exits.indices {
            exits[index].count = max(exits[index].count, last[exits[index].key] ?? 0)
        }
    }

    /// The numbers of exits.
    package var counts: [Exits.Key: UInt64] {
        Dictionary(exits.map { ($0.key, $0.count) }) { first, _ in first }
    }
}

extension KernelSettledExits.Row {
    /// At least how many KVM has settled so far, exits in progress left out. It is never above ``exits`` at any later moment.
    ///
    /// Where a fault carries CPUIDs out, one that KVM has settled may still come out and count as MiniVMM's.
    fileprivate var exitsAtLeast: UInt64 {
        let taken = carriedExits > 0 ? carriedExits &+ 1 : 0
        let finished = histogram.reduce(0, &+)
        return finished > taken ? finished &- taken : 0
    }
}
