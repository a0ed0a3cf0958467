/// How many exits a run made in each interval of its time, by kind, over all vCPUs.
public struct ExitTimeline: Hashable, Sendable {
    /// The exits of one kind.
    public struct Series: Hashable, Sendable {
        /// The kind.
        public let kind: ExitKind
        /// How many there were in each interval.
        public let exits: [UInt64]
    }

    /// The length of an interval, in cycles.
    public let intervalCycles: UInt64
    /// The number of intervals, up to the one with the last exit.
    public let intervalCount: Int
    /// The kinds of which there was an exit, in the order of ``ExitKind``, with ``intervalCount`` numbers each.
    public let series: [Series]
}

extension ExitTimeline {
    /// The sum of what the vCPUs recorded, in the longest intervals that any has. Only when their threads have ended.
    init(sumOf recorders: [TimelineRecorder]) {
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
    }

    /// The same with at most the given number of intervals, each several times as long.
    func coarser(atMost limit: Int) -> ExitTimeline {
        let factor = max(1, (intervalCount + limit - 1) / limit)
        guard factor > 1 else { return self }
        let starts = stride(from: 0, to: intervalCount, by: factor)
        return ExitTimeline(
            intervalCycles: intervalCycles * UInt64(factor),
            intervalCount: Array(starts).count,
            series: series.map { series in
                Series(
                    kind: series.kind,
                    exits: starts.map { start in
                        series.exits[start..<min(start + factor, intervalCount)].reduce(0, &+)
                    })
            })
    }
}
