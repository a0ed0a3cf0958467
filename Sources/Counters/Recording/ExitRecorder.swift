package import Host

/// What a run keeps of its exits besides the counters. Nothing, unless asked for.
public struct RecordingOptions: Hashable, Sendable {
    /// Whether to keep the number of exits per interval of time, and how the service times are distributed.
    public var keepsTimeline = false
    /// How many exits of each vCPU to keep, the last ones; nil for none. Rounded up to a power of two.
    ///
    /// Each takes 32 bytes, which are taken from the system some thousands at a time.
    public var traceCapacity: Int?
    /// Whether to keep as many exits that KVM settled itself, if exits are kept and every exit is counted.
    public var tracesKernel = false
    /// Whether to read KVM's own statistics when the run is over.
    public var readsKernelStatistics = false
    /// Whether to ask the scheduler how the vCPUs' threads came to run.
    public var readsScheduling = false

    /// How many of the places to keep that exits come from: of each vCPU, and where KVM's exits are counted as many of
    /// theirs; nil for none.
    public var placeCapacity: Int?

    /// Nothing is kept.
    public init() {}

    /// The exits of a vCPU that a trace keeps unless told otherwise: 2^20, in 32 MiB.
    public static let defaultTraceCapacity = 1 << 20
    /// The most exits of a vCPU that a trace can keep: 2^26, in 2 GiB.
    public static let maximumTraceCapacity = 1 << 26
}

/// What is kept of one vCPU's exits besides the counters.
///
/// For the vCPU's own thread, and for others after that was joined.
package final class ExitRecorder {
    package let timeline: TimelineRecorder?
    package let trace: TraceRecorder?
    package let places: PlaceRecorder?

    /// A recorder for what the options ask for, or nil when they ask for none.
    ///
    /// - Throws: `ResourceError` when the system refuses the memory.
    package init?(_ options: RecordingOptions) throws(ResourceError) {
        guard options.keepsTimeline || options.traceCapacity != nil || options.placeCapacity != nil else { return nil }
        timeline = options.keepsTimeline ? try TimelineRecorder() : nil
        trace = try options.traceCapacity.map { capacity throws(ResourceError) in try TraceRecorder(capacity: capacity)
        }
        places = try options.placeCapacity.map { capacity throws(ResourceError) in try PlaceRecorder(capacity: capacity)
        }
    }

    /// Sets when the run starts. Before the first exit.
    package func start(at tsc: UInt64) {
        timeline?.start(at: tsc)
    }
}
