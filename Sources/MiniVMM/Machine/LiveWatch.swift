/// Looks at a machine's counters a few times a second while it runs, on a thread of its own.
public final class LiveWatch: Sendable {
    private let thread: PosixThread
    private let isOver: EndSignal

    /// Starts to look.
    ///
    /// - Parameters:
    ///   - interval: The time between two looks.
    ///   - onLook: Called with a line about the run.
    /// - Throws: ``KVMError/outOfResources(name:_:)`` when the system refuses a thread or a descriptor.
    public init(
        _ machine: Machine, every interval: Duration = .milliseconds(250),
        onLook: @escaping @Sendable (LiveLine) -> Void
    ) throws(KVMError) {
        let isOver = try EndSignal(count: 1)
        self.isOver = isOver
        thread = try PosixThread(name: "live line") {
            let start = ContinuousClock.now
            var last = start
            var previous: CounterSnapshot?
            while !isOver.wait(timeout: interval) {
                let now = ContinuousClock.now
                let snapshot = machine.countersSoFar
                onLook(
                    LiveLine(
                        snapshot, previous: previous, elapsed: start.duration(to: now), interval: last.duration(to: now)
                    ))
                last = now
                previous = snapshot
            }
        }
    }

    /// Stops to look. After it there is no call any more. To be called once.
    public func end() {
        isOver.give()
        thread.join()
    }
}
