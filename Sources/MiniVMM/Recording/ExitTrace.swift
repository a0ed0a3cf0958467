/// The exits of a run, one by one, as far as there was room for them.
public struct ExitTrace: Sendable {
    /// One vCPU's.
    struct Track: Sendable {
        let vcpu: Int
        /// The exits, the oldest first.
        let events: [TraceEvent]
        /// How many exits fell out of the ring, all of them older.
        let lostCount: UInt64
    }

    /// Each vCPU's, in the order of their numbers.
    let tracks: [Track]
    /// The time-stamp counter when the run started.
    let origin: UInt64

    /// The number of exits in the trace.
    public var exitCount: Int { tracks.reduce(0) { $0 + $1.events.count } }
    /// The number of exits that there was no room for.
    public var lostCount: UInt64 { tracks.reduce(0) { $0 &+ $1.lostCount } }
}
