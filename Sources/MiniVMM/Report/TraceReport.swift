/// A run's exits in Chrome's trace format, which Perfetto and chrome://tracing show.
///
/// Every exit is a complete event on its vCPU's track. Times are in microseconds from the start of the run, to the
/// nanosecond; where the frequency of the time-stamp counter is not known, as if it were 1 GHz. `args.cycles` is exact.
///
/// Source: "Trace Event Format", which the Catapult project publishes.
public struct TraceReport: Sendable {
    private let trace: ExitTrace
    private let tscKHz: UInt32?

    /// A report of a run's exits.
    ///
    /// - Parameter tscKHz: The frequency of the time-stamp counter in kHz, if it is known.
    public init(_ trace: ExitTrace, tscKHz: UInt32?) {
        self.trace = trace
        self.tscKHz = tscKHz
    }

    /// Hands the file over, piece by piece. A piece is the sink's only as long as the call takes.
    public func write<Failure>(to sink: (ArraySlice<UInt8>) throws(Failure) -> Void) throws(Failure) {
        try sink(Self.bytes(opening))
        for track in trace.tracks {
            try sink(Self.bytes(opening(of: track)))
            var lines = TraceLines(track, origin: trace.origin, tscKHz: tscKHz)
            while lines.makePiece() { try sink(lines.piece) }
        }
        try sink(Self.bytes("\n]}\n"))
    }

    private static func bytes(_ text: String) -> ArraySlice<UInt8> {
        Array(text.utf8)[...]
    }

    private var opening: String {
        let frequency = tscKHz.map { String($0) } ?? "null"
        return #"{"displayTimeUnit":"ns","otherData":{"program":"MiniVMM","tsc_khz":\#(frequency),"#
            + "\"lost_exits\":\(trace.lostCount)},\"traceEvents\":[\n"
            + #"{"name":"process_name","ph":"M","pid":1,"tid":0,"args":{"name":"guest"}}"#
    }

    private func opening(of track: ExitTrace.Track) -> String {
        ",\n" + #"{"name":"thread_name","ph":"M","pid":1,"tid":\#(track.vcpu),"args":{"name":"vCPU \#(track.vcpu)"}}"#
    }
}
