@testable import TestSupport
@testable import minivmm_cli
@testable import Devices
import Dispatch
@testable import Host

/// What the escape keys asked for.
final class ActionLog: Sendable {
    private let actions = Locked<[EscapeKeys.Action]>([])
    /// Signaled at every action.
    let noted = DispatchSemaphore(value: 0)

    var all: [EscapeKeys.Action] { actions.withLock { $0 } }

    /// Writes an action down.
    @Sendable func note(_ action: EscapeKeys.Action) {
        actions.withLock { $0.append(action) }
        noted.signal()
    }
}
