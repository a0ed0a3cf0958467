import CKVM
import Host

/// Turns signals such as SIGINT and SIGTERM into the end of a run, so that its statistics are not lost.
///
/// The signals are blocked in the thread that makes the watcher and, by inheritance, in all that it starts; a thread of
/// the watcher's own waits for them. The second signal ends the process as it does by default, should the first have no
/// effect. A process makes one watcher, before it starts other threads; it lasts as long as the process.
final class SignalWatcher: Sendable {
    private struct State {
        var handler: (@Sendable (Int32) -> Void)?
        /// A signal that came before there was a handler.
        var pending: Int32?
    }

    private let state = Locked(State())

    /// Blocks the signals and starts to wait for them.
    ///
    /// - Parameter signals: The signals' numbers.
    /// - Throws: `ResourceError` when the system refuses a thread.
    init(signals: [Int32] = [SIGINT, SIGTERM, SIGHUP]) throws(ResourceError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in signals { unsafe sigaddset(&set, number) }
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        let waited = set
        _ = try PosixThread(name: "signals") { [self] in
            deliver(Self.next(of: waited))
            // From now on the default action applies: this thread is the one that the signals find unblocked.
            var set = waited
            unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
            while true { pause() }
        }
    }

    private static func next(of signals: sigset_t) -> Int32 {
        var signals = signals
        var number: Int32 = 0
        while unsafe sigwait(&signals, &number) != 0 {}
        return number
    }

    /// Calls a handler with the number of the first signal, now if it has come already. On the watcher's thread, or on
    /// the caller's.
    func watch(_ handler: @escaping @Sendable (Int32) -> Void) {
        let pending = state.withLock { state in
            state.handler = handler
            return state.pending
        }
        if let pending { handler(pending) }
    }

    private func deliver(_ number: Int32) {
        let handler = state.withLock { state in
            state.pending = number
            return state.handler
        }
        handler?(number)
    }
}
