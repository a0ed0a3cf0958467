import CKVM
import Synchronization

/// A signal that several threads give together, the last one's being the signal, and that one thread waits for, with
/// or without a deadline.
final class EndSignal: Sendable {
    private let descriptor: OwnedDescriptor
    private let missing: Atomic<Int>

    /// A signal that `count` threads give.
    ///
    /// - Throws: ``KVMError/outOfResources(name:_:)`` when the system refuses another descriptor.
    init(count: Int) throws(KVMError) {
        missing = Atomic(count)
        let result = ckvm_eventfd()
        guard result >= 0 else {
            throw .outOfResources(name: "an eventfd", ErrorNumber(rawValue: 0 &- result))
        }
        descriptor = OwnedDescriptor(takingOver: result)
    }

    /// Gives one thread's part of the signal.
    func give() {
        guard missing.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        var one: UInt64 = 1
        // An eventfd takes eight bytes at once, and cannot overflow by a handful of ones.
        _ = ckvm_write(descriptor.number, &one, MemoryLayout<UInt64>.size)
    }

    /// Waits for the signal.
    ///
    /// - Parameter timeout: How long at most; nil for as long as it takes.
    /// - Returns: Whether the signal was given.
    func wait(timeout: Duration?) -> Bool {
        let deadline = timeout.map { ContinuousClock.now + max($0, .zero) }
        while true {
            let left = deadline.map { max(ContinuousClock.now.duration(to: $0), .zero) }
            let (seconds, attoseconds) = left?.components ?? (-1, 0)
            // A Duration's part below a second is less than 10^18 attoseconds.
            let result = ckvm_wait_readable(descriptor.number, seconds, attoseconds / 1_000_000_000)
            if result > 0 { return true }
            if result == 0 { return false }
            // EINTR: a signal for another purpose. Anything else would come again at once, so it ends the wait.
            if result != -EINTR { return false }
        }
    }
}
