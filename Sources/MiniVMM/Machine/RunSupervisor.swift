/// What the thread that started a run does until the vCPUs' threads have ended: it ends the run when the time is up,
/// kicks vCPUs that have not noticed that it is over, and sees to it that the console keeps nothing back.
struct RunSupervisor {
    let control: RunControl
    let console: ConsoleOutput
    let allEnded: EndSignal

    private static let timeBetweenKicks = Duration.milliseconds(10)

    /// Blocks until all threads have given the signal.
    ///
    /// - Parameter timeout: How long the run may take; nil for as long as it likes.
    func wait(timeout: Duration?) {
        let deadline = timeout.map { ContinuousClock.now + max($0, .zero) }
        control.ring(allEnded.bell)
        while !allEnded.isGiven {
            // A kick that comes just before a thread waits for a console's reader does not end that wait.
            let next = control.isStopping ? .now + Self.timeBetweenKicks : deadline
            switch allEnded.bell.wait(until: next, or: console.timerDescriptor) {
            case .ringing: allEnded.bell.silence()
            case .otherReadable: if console.timerHasExpired() { control.kickOne() }
            case .timeIsUp: if control.isStopping { control.kick() } else { control.stop(.timeout) }
            }
        }
    }
}
