import Host
import Synchronization

/// Whether the guest has begun to use the timer's interrupt: until then it costs nothing, and nobody is interrupted.
///
/// Once on, it stays on.
package final class TickSwitch: Sendable {
    private let hasTurned = Atomic<Bool>(false)
    private struct Actions {
        var whenTurnedOn: @Sendable () -> Void = {}
        var whenChanged: @Sendable () -> Void = {}
    }

    private let actions = Locked(Actions())

    /// A switch that is off, and does nothing when it is turned on.
    package init() {}

    /// Whether it is on.
    package var isOn: Bool { hasTurned.load(ordering: .relaxed) }

    /// Says what is done on the thread that turns it on.
    ///
    /// - Parameters:
    ///   - turnedOn: The first time.
    ///   - changed: Then, and when the timer was set anew.
    package func connect(
        whenTurnedOn turnedOn: @escaping @Sendable () -> Void, whenChanged changed: @escaping @Sendable () -> Void
    ) {
        actions.withLock { $0 = Actions(whenTurnedOn: turnedOn, whenChanged: changed) }
    }

    /// Turns it on.
    package func turnOn() {
        guard !hasTurned.exchange(true, ordering: .relaxed) else { return }
        let actions = actions.withLock { $0 }
        actions.whenTurnedOn()
        actions.whenChanged()
    }

    /// Turns it on, or tells that the timer was set anew.
    package func change() {
        guard isOn else { return turnOn() }
        let actions = actions.withLock { $0 }
        actions.whenChanged()
    }
}
