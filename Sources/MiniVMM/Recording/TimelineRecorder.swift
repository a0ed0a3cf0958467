import CKVM

/// One vCPU's exits per interval of time, in memory that does not grow: when the intervals are used up, they are made
/// twice as long, and what two of them held becomes one.
///
/// For the vCPU's own thread, and for others after that was joined. Recording takes no lock and allocates nothing.
final class TimelineRecorder {
    /// The number of intervals. At any time the guest's run fills more than half of them, but for the first moments.
    static let intervalCount = 512
    /// The length of an interval at first: 2^14 cycles, some microseconds.
    static let firstShift: UInt64 = 14

    /// Exits by interval, and in it by kind.
    private let counts: UnsafeMutablePointer<UInt64>
    private static let countCount = intervalCount * ExitCounters.kindCount

    /// The time-stamp counter at the start of the first interval.
    private var origin: UInt64 = 0
    /// The length of an interval is two to the power of this, in cycles.
    private(set) var shift = TimelineRecorder.firstShift

    init() {
        counts = zeroedMemory(of: UInt64.self, count: Self.countCount)
    }

    deinit {
        free(counts)
    }

    /// Sets when the first interval starts. Before the first exit.
    func start(at tsc: UInt64) {
        origin = tsc
    }

    /// Counts an exit that was serviced at the given time.
    ///
    /// - Returns: The cycles that it took to make the intervals longer; nearly always 0.
    @inline(__always)
    func record(_ kind: ExitKind, at tsc: UInt64) -> UInt64 {
        // A processor whose counter lags behind the one that read the origin is still in the first interval.
        let elapsed = tsc > origin ? tsc &- origin : 0
        guard elapsed >> shift < UInt64(Self.intervalCount) else { return lengthen(andRecord: kind, elapsed) }
        count(kind, elapsed)
        return 0
    }

    @inline(__always)
    private func count(_ kind: ExitKind, _ elapsed: UInt64) {
        let index = Int(truncatingIfNeeded: elapsed >> shift) &* ExitCounters.kindCount &+ kind.rawValue
        // Sound: the interval's number was checked, and rawValue is less than kindCount.
        counts[index] &+= 1
    }

    /// Makes the intervals so long that the time is in one of them, and counts the exit.
    @inline(never)
    private func lengthen(andRecord kind: ExitKind, _ elapsed: UInt64) -> UInt64 {
        let start = ckvm_rdtsc()
        while elapsed >> shift >= UInt64(Self.intervalCount) { fold() }
        count(kind, elapsed)
        return ckvm_rdtsc() &- start
    }

    /// Makes each interval twice as long.
    func fold() {
        let kinds = ExitCounters.kindCount
        for interval in 0..<Self.intervalCount {
            for kind in 0..<kinds {
                let from = interval * kinds + kind
                // Sound: both are in range, and what is written has been read, since interval / 2 <= interval.
                let moved = counts[from]
                counts[from] = 0
                counts[interval / 2 * kinds + kind] &+= moved
            }
        }
        shift += 1
    }

    /// The exits of a kind in each interval. Only when the vCPU's thread has ended.
    func exits(of kind: ExitKind) -> [UInt64] {
        // Sound: as for counting.
        (0..<Self.intervalCount).map { counts[$0 * ExitCounters.kindCount + kind.rawValue] }
    }
}
