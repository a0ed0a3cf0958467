import Dispatch
import Glibc
@testable import Host

/// Kills a process that takes too long.
///
/// The process must not be reaped before ``stop()``, so that its number is never another's.
final class ProcessWatchdog: Sendable {
    private enum State {
        case watching
        case killed
        case stopped
    }

    private let state = Locked(State.watching)

    init(process: pid_t, limit: Int) {
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(limit)) { [self] in
            state.withLock { state in
                guard state == .watching else { return }
                state = .killed
                kill(process, SIGKILL)
            }
        }
    }

    /// Ends the watch.
    ///
    /// - Returns: Whether the process was killed.
    func stop() -> Bool {
        state.withLock { state in
            defer { state = .stopped }
            return state == .killed
        }
    }
}
