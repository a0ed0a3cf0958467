import Synchronization

/// A signal that several threads give together, the last one's being the signal, and that one thread waits for, with
/// or without a deadline.
final class EndSignal: Sendable {
    /// Rung when the signal is given. It may be rung for other reasons too, to wake the thread that waits.
    let bell: Doorbell
    private let missing: Atomic<Int>

    /// A signal that `count` threads give.
    ///
    /// - Throws: ``KVMError/outOfResources(name:_:)`` when the system refuses another descriptor.
    init(count: Int) throws(KVMError) {
        missing = Atomic(count)
        bell = try Doorbell()
    }

    /// Gives one thread's part of the signal.
    func give() {
        guard missing.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        bell.ring()
    }

    /// Whether the signal was given.
    var isGiven: Bool { missing.load(ordering: .acquiring) == 0 }

    /// Waits for the signal, where nobody rings the bell for other reasons.
    ///
    /// - Parameter timeout: How long at most; nil for as long as it takes.
    /// - Returns: Whether the signal was given.
    func wait(timeout: Duration?) -> Bool {
        bell.wait(timeout: timeout)
    }
}
