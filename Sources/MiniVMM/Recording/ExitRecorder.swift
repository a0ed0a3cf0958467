/// What is kept of one vCPU's exits besides the counters.
///
/// For the vCPU's own thread, and for others after that was joined.
final class ExitRecorder {
    let timeline: TimelineRecorder?
    let trace: TraceRecorder?

    /// A recorder for what the options ask for, or nil when they ask for none.
    init?(_ options: RecordingOptions) {
        guard options.keepsTimeline || options.traceCapacity != nil else { return nil }
        timeline = options.keepsTimeline ? TimelineRecorder() : nil
        trace = options.traceCapacity.map { TraceRecorder(capacity: $0) }
    }

    /// Sets when the run starts. Before the first exit.
    func start(at tsc: UInt64) {
        timeline?.start(at: tsc)
    }
}
