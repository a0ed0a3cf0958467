/// When a guest gets its next helping of input: as soon as it has finished one, and has had as much time again.
///
/// Without those pauses, a guest that takes input in an interrupt handler would have the next interrupt pending before
/// it has left the handler, and never come to what stands behind: its buffers would overflow, and input be lost.
struct FeedingPace {
    typealias Instant = ContinuousClock.Instant

    /// When the guest was given as much as it had room for; nil when it has not been since it last made room.
    private var served: Instant?
    /// Until when it is left alone.
    private var end: Instant?

    /// What a pause is at most: the guest may have been busy with other things.
    static let longestPause = Duration.milliseconds(50)

    /// Notes that the guest has taken some bytes, and has no room for more.
    mutating func serve(at now: Instant) {
        served = now
    }

    /// Notes that the guest has room again.
    mutating func finish(at now: Instant) {
        guard let served else { return }
        end = now + min(served.duration(to: now), Self.longestPause)
        self.served = nil
    }

    /// How long the guest is to be left alone from now on; nil for not any longer.
    func pause(at now: Instant) -> Duration? {
        guard let end, now < end else { return nil }
        return now.duration(to: end)
    }
}
