import CKVM
import Counters
import Host

/// Looks again and again at what KVM has settled while a machine runs, on a thread of its own, for the exits over time.
///
/// It reads counts that are mapped: the vCPUs notice nothing.
final class KernelExitSampler: Sendable {
    private let source: any CounterSource
    private let kept: Kept
    private let thread: PosixThread
    private let isOver: EndSignal

    /// What both threads use.
    private final class Kept: Sendable {
        /// Those of each vCPU, taken at the same moments.
        let samples = Locked<[KernelExitSamples]>([])
        private let origin: UInt64

        init(origin: UInt64) {
            self.origin = origin
        }

        /// Takes a sample of each vCPU.
        ///
        /// - Returns: How many samples there have been from one that is kept to the next.
        func add(_ counts: [SettledCounts]) -> Int {
            let tsc = ckvm_rdtsc()
            return samples.withLock { samples in
                if samples.isEmpty { samples = counts.map { _ in KernelExitSamples(origin: origin) } }
                for (vcpu, counts) in counts.enumerated() { samples[vcpu].add(counts, at: tsc) }
                return samples.first?.stride ?? 1
            }
        }
    }

    /// The time between two samples at first.
    private static let interval = Duration.milliseconds(1)

    /// Starts to look.
    ///
    /// - Parameters:
    ///   - source: What knows what KVM settled.
    ///   - origin: The time-stamp counter when the run starts, before which there is no exit.
    /// - Throws: `ResourceError` when the system refuses a thread or a descriptor.
    init(_ source: any CounterSource, origin: UInt64) throws(ResourceError) {
        let kept = Kept(origin: origin)
        let isOver = try EndSignal(count: 1)
        self.source = source
        self.kept = kept
        self.isOver = isOver
        thread = try PosixThread(name: "exit sampler") {
            var stride = 1
            while !isOver.wait(timeout: Self.interval * stride) {
                guard let counts = source.settledCounts() else { return }
                stride = kept.add(counts)
            }
        }
    }

    /// Stops to look, and takes the last sample: when the vCPUs' threads have ended, it has all exits. To be called once.
    func end() -> [KernelExitSamples] {
        isOver.give()
        thread.join()
        if let counts = source.settledCounts() { _ = kept.add(counts) }
        return kept.samples.withLock { $0 }
    }
}
