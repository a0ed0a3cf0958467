import CKVM
package import Host

/// How many exits a run made in each interval of its time, by kind, over all vCPUs and of each.
public struct ExitTimeline: Hashable, Sendable {
    /// The exits of one kind.
    public struct Series: Hashable, Sendable {
        /// The kind.
        public let kind: ExitKind
        /// How many there were in each interval.
        public let exits: [UInt64]
    }

    /// The exits of one type that KVM settled itself.
    public struct KernelSeries: Hashable, Sendable {
        /// The type; nil for all that the SDM has no number for.
        public let type: BasicExitReason?
        /// How many there were in each interval.
        public let exits: [UInt64]
    }

    /// The exits of one vCPU.
    public struct VCPU: Hashable, Sendable {
        /// The kinds of which the vCPU made an exit, with ``ExitTimeline/intervalCount`` numbers each.
        public let series: [Series]
        /// What KVM settled itself; none unless every exit was counted.
        public package(set) var kernelSeries: [KernelSeries] = []
    }

    /// The length of an interval, in cycles.
    public let intervalCycles: UInt64
    /// The number of intervals, up to the one with the last exit; to the end of the run where KVM's are known.
    public let intervalCount: Int
    /// The kinds of which there was an exit, in the order of ``ExitKind``, with ``intervalCount`` numbers each.
    public let series: [Series]
    /// What KVM settled itself, in the order of the SDM's numbers, with ``intervalCount`` numbers each; none unless every
    /// exit was counted. In an interval they are as exact as the samples are dense that they are made of; their sums
    /// over the run are exact.
    public package(set) var kernelSeries: [KernelSeries] = []
    /// The same of each vCPU, in their order; their sum is that of all.
    public package(set) var vcpus: [VCPU] = []
}

extension ExitTimeline {
    /// The sum of what the vCPUs recorded, in the longest intervals that any has. Only when their threads have ended.
    package init(sumOf recorders: [TimelineRecorder]) {
        let shift = recorders.map(\.shift).max() ?? TimelineRecorder.firstShift
        for recorder in recorders {
            while recorder.shift < shift { recorder.fold() }
        }
        let sums = ExitKind.allCases.map { kind in
            recorders.reduce([UInt64](repeating: 0, count: TimelineRecorder.intervalCount)) { sum, recorder in
                zip(sum, recorder.exits(of: kind)).map { $0 &+ $1 }
            }
        }
        let ends = sums.map { ($0.lastIndex { $0 > 0 } ?? -1) + 1 }
        let count = ends.max() ?? 0
        intervalCycles = 1 << shift
        intervalCount = count
        series = zip(ExitKind.allCases, zip(sums, ends)).compactMap { kind, recorded in
            recorded.1 == 0 ? nil : Series(kind: kind, exits: Array(recorded.0.prefix(count)))
        }
        vcpus = recorders.map { recorder in
            VCPU(
                series: ExitKind.allCases.compactMap { kind in
                    let exits = recorder.exits(of: kind).prefix(count)
                    return exits.contains { $0 > 0 } ? Series(kind: kind, exits: Array(exits)) : nil
                })
        }
    }

    /// The same with at most the given number of intervals, each several times as long.
    package func coarser(atMost limit: Int) -> ExitTimeline {
        coarser(by: max(1, (intervalCount + limit - 1) / limit))
    }

    /// The same with intervals that are so many times as long.
    private func coarser(by factor: Int) -> ExitTimeline {
        guard factor > 1 else { return self }
        let starts = stride(from: 0, to: intervalCount, by: factor)
        func sums(_ exits: [UInt64]) -> [UInt64] {
            starts.map { exits[$0..<min($0 + factor, intervalCount)].reduce(0, &+) }
        }
        func sums(_ series: [Series]) -> [Series] { series.map { Series(kind: $0.kind, exits: sums($0.exits)) } }
        func sums(_ series: [KernelSeries]) -> [KernelSeries] {
            series.map { KernelSeries(type: $0.type, exits: sums($0.exits)) }
        }
        return ExitTimeline(
            intervalCycles: intervalCycles * UInt64(factor), intervalCount: Array(starts).count, series: sums(series),
            kernelSeries: sums(kernelSeries),
            vcpus: vcpus.map { VCPU(series: sums($0.series), kernelSeries: sums($0.kernelSeries)) })
    }

    /// The same with what KVM settled, in the shortest intervals that reach to the end of the run.
    ///
    /// - Parameter samples: Those of each vCPU, which were taken at the same moments.
    package func adding(_ samples: [KernelExitSamples]) -> ExitTimeline {
        let length = samples.map(\.length).max() ?? 0
        let firstShift = UInt64(intervalCycles.trailingZeroBitCount)
        var shift = firstShift
        while length >> shift >= UInt64(TimelineRecorder.intervalCount) { shift += 1 }
        let own = shift - firstShift < 62 ? coarser(by: 1 << Int(shift - firstShift)) : self
        let count = max(own.intervalCount, Int(length >> shift) + 1)
        let padding = [UInt64](repeating: 0, count: count - own.intervalCount)
        func padded(_ series: [Series]) -> [Series] {
            series.map { Series(kind: $0.kind, exits: $0.exits + padding) }
        }
        let kernel = samples.map { $0.series(intervalCycles: 1 << shift, count: count) }
        return ExitTimeline(
            intervalCycles: 1 << shift, intervalCount: count, series: padded(own.series),
            kernelSeries: Self.sum(kernel.flatMap(\.self)),
            vcpus: (0..<max(kernel.count, own.vcpus.count)).map { vcpu in
                VCPU(
                    series: own.vcpus.indices.contains(vcpu) ? padded(own.vcpus[vcpu].series) : [],
                    kernelSeries: kernel.indices.contains(vcpu) ? kernel[vcpu] : [])
            })
    }

    /// The sums of what has a type in common, in the order of the SDM's numbers, what has none last.
    private static func sum(_ series: [KernelSeries]) -> [KernelSeries] {
        var sums: [BasicExitReason?: [UInt64]] = [:]
        for one in series { sums[one.type] = sums[one.type].map { zip($0, one.exits).map { $0 &+ $1 } } ?? one.exits }
        return sums.map { KernelSeries(type: $0.key, exits: $0.value) }
            .sorted { ($0.type?.rawValue ?? .max) < ($1.type?.rawValue ?? .max) }
    }
}

/// One vCPU's exits per interval of time, in memory that does not grow: when the intervals are used up, they are made
/// twice as long, and what two of them held becomes one.
///
/// For the vCPU's own thread, and for others after that was joined. Recording takes no lock and allocates nothing.
// Safe to use: the numbers are allocated with the recorder, and every index is made of a checked interval and a kind.
@safe
package final class TimelineRecorder {
    /// The number of intervals. At any time the guest's run fills more than half of them, but for the first moments.
    package static let intervalCount = 512
    /// The length of an interval at first: 2^14 cycles, some microseconds.
    static let firstShift: UInt64 = 14

    /// Exits by interval, and in it by kind.
    private let counts: UnsafeMutablePointer<UInt64>
    private static let countCount = intervalCount * ExitCounters.kindCount

    /// The time-stamp counter at the start of the first interval.
    private var origin: UInt64 = 0
    /// The length of an interval is two to the power of this, in cycles.
    private(set) var shift = TimelineRecorder.firstShift

    package init() throws(ResourceError) {
        unsafe counts = try unsafe zeroedMemory(of: UInt64.self, count: Self.countCount)
    }

    deinit {
        unsafe free(counts)
    }

    /// Sets when the first interval starts. Before the first exit.
    package func start(at tsc: UInt64) {
        origin = tsc
    }

    /// Counts an exit that was serviced at the given time.
    ///
    /// - Returns: The cycles that it took to make the intervals longer; nearly always 0.
    @inline(__always)
    package func record(_ kind: ExitKind, at tsc: UInt64) -> UInt64 {
        // A processor whose counter lags behind the one that read the origin is still in the first interval.
        let elapsed = tsc > origin ? tsc &- origin : 0
        guard elapsed >> shift < UInt64(Self.intervalCount) else { return lengthen(andRecord: kind, elapsed) }
        count(kind, elapsed)
        return 0
    }

    @inline(__always)
    private func count(_ kind: ExitKind, _ elapsed: UInt64) {
        let index = Int(truncatingIfNeeded: elapsed >> shift) &* ExitCounters.kindCount &+ kind.index
        // Sound: the interval's number was checked, and rawValue is less than kindCount.
        unsafe counts[index] &+= 1
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
                let moved = unsafe counts[from]
                unsafe counts[from] = 0
                unsafe counts[interval / 2 * kinds + kind] &+= moved
            }
        }
        shift += 1
    }

    /// The exits of a kind in each interval. Only when the vCPU's thread has ended.
    package func exits(of kind: ExitKind) -> [UInt64] {
        // Sound: as for counting.
        (0..<Self.intervalCount).map { unsafe counts[$0 * ExitCounters.kindCount + kind.index] }
    }
}
