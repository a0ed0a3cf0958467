import CKVM
import Host
import Tracepoints

/// An exit that KVM settled itself, in a trace.
package struct KernelTraceEvent: Hashable, Sendable {
    /// The time-stamp counter when the guest exited.
    package let start: UInt64
    /// From then until the guest was entered again, in cycles.
    package let cycles: UInt64
    /// What KVM took for it, in nanoseconds.
    package let nanoseconds: UInt64
    /// What the vCPU slept in it, in nanoseconds.
    package let nanosecondsHalted: UInt64
    /// The SDM's reason, if there is one.
    package let reason: BasicExitReason?
    /// The processor's own number, as ``KernelSettledExits/Row/code`` has it.
    package let code: UInt32?
    /// Whether that is an exit code of SVM.
    package let isSVM: Bool

    /// The given values.
    package init(
        start: UInt64, cycles: UInt64, nanoseconds: UInt64, nanosecondsHalted: UInt64, reason: BasicExitReason?,
        code: UInt32?, isSVM: Bool
    ) {
        self.start = start
        self.cycles = cycles
        self.nanoseconds = nanoseconds
        self.nanosecondsHalted = nanosecondsHalted
        self.reason = reason
        self.code = code
        self.isSVM = isSVM
    }
}

/// The two clocks of a trace, read together at its start and at its end: the time-stamp counter, which the run loop goes
/// by, and CLOCK_MONOTONIC, which programs in the kernel do.
package struct ClockPairs: Hashable, Sendable {
    /// Both clocks at one moment.
    package struct Pair: Hashable, Sendable {
        package let tsc: UInt64
        package let nanoseconds: UInt64

        /// The given values.
        package init(tsc: UInt64, nanoseconds: UInt64) {
            self.tsc = tsc
            self.nanoseconds = nanoseconds
        }

        /// Both clocks now: of some readings the one that was least interrupted.
        package static func now() -> Pair {
            var best = Pair(tsc: 0, nanoseconds: 0)
            var least = UInt64.max
            for _ in 0..<5 {
                let before = ckvm_rdtsc()
                let nanoseconds = HostClock.monotonicNanoseconds()
                let length = ckvm_rdtsc() &- before
                if length < least {
                    least = length
                    best = Pair(tsc: before &+ length / 2, nanoseconds: nanoseconds)
                }
            }
            return best
        }
    }

    private let start: Pair
    private let end: Pair

    /// The clocks at the start and at the end.
    package init(start: Pair, end: Pair) {
        self.start = start
        self.end = end
    }

    /// The time-stamp counter at a time of CLOCK_MONOTONIC, on the line through both pairs. A nanosecond is a cycle where
    /// they are one pair.
    package func tsc(atNanoseconds nanoseconds: UInt64) -> UInt64 {
        let time = end.nanoseconds > start.nanoseconds ? end.nanoseconds &- start.nanoseconds : 1
        let cycles = end.tsc > start.tsc ? end.tsc &- start.tsc : 1
        let isAfter = nanoseconds >= start.nanoseconds
        let distance = isAfter ? nanoseconds &- start.nanoseconds : start.nanoseconds &- nanoseconds
        let product = distance.multipliedFullWidth(by: cycles)
        // Too far away for 64 bits: no exit of the run.
        guard product.high < time else { return isAfter ? .max : 0 }
        let offset = time.dividingFullWidth(product).quotient
        return isAfter ? start.tsc &+ offset : start.tsc >= offset ? start.tsc &- offset : 0
    }
}

extension AllExitsSource {
    package func kernelTrack(ofVCPU index: Int, _ clocks: ClockPairs) -> ExitTrace.Track<KernelTraceEvent>? {
        guard tracepoints.keepsEvents, let thread = threads.withLock({ $0[index] }) else { return nil }
        let (kept, lostCount) = tracepoints.events(thread: thread, as: index)
        let events = kept.map { event in
            let start = clocks.tsc(atNanoseconds: event.start)
            let end = clocks.tsc(atNanoseconds: event.start &+ event.nanoseconds &+ event.nanosecondsHalted)
            let index = min(Int(clamping: event.reason), ExitReasonIndex.count - 1)
            return KernelTraceEvent(
                start: start, cycles: end &- start, nanoseconds: event.nanoseconds,
                nanosecondsHalted: event.nanosecondsHalted, reason: reasons[index], code: HardwareExits.code(index),
                isSVM: tracepoints.processorExtension == .svm)
        }
        return ExitTrace.Track(vcpu: index, events: events, lostCount: lostCount)
    }
}
