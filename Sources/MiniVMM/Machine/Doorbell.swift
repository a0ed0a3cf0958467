import CKVM

/// What a thread sleeps on until another has news for it: an eventfd. A ring stays until it is silenced, so none is
/// missed, and several are as good as one.
final class Doorbell: Sendable {
    private let owned: OwnedDescriptor

    /// Makes a doorbell that nobody has rung.
    ///
    /// - Throws: ``KVMError/outOfResources(name:_:)`` when the system refuses another descriptor.
    init() throws(KVMError) {
        let result = ckvm_eventfd()
        guard result >= 0 else {
            throw .outOfResources(name: "an eventfd", ErrorNumber(rawValue: 0 &- result))
        }
        owned = OwnedDescriptor(takingOver: result)
    }

    /// The descriptor, which can be read from while the bell rings.
    var descriptor: Int32 { owned.number }

    /// Wakes who sleeps on it, now or when they next do. One system call that never blocks.
    func ring() {
        var one: UInt64 = 1
        // An eventfd takes eight bytes at once, and cannot overflow by a handful of ones.
        _ = ckvm_write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Makes it quiet again. Only while it rings, and only the thread that sleeps on it.
    func silence() {
        var rings: UInt64 = 0
        _ = ckvm_read(descriptor, &rings, MemoryLayout<UInt64>.size)
    }

    /// Waits until it rings, and leaves it ringing.
    ///
    /// - Parameter timeout: How long at most; nil for as long as it takes.
    /// - Returns: Whether it rings.
    func wait(timeout: Duration?) -> Bool {
        wait(until: timeout.map { .now + max($0, .zero) }) == .ringing
    }

    /// What ended a wait.
    enum News {
        /// The bell rings.
        case ringing
        /// The bell does not ring, but the other descriptor can be read from.
        case otherReadable
        /// Neither is so, and the time is up.
        case timeIsUp
    }

    /// Waits until it rings, and leaves it ringing; or until something else happens.
    ///
    /// - Parameters:
    ///   - deadline: Until when at most; nil for as long as it takes.
    ///   - other: Another descriptor to wait for; -1 for none.
    func wait(until deadline: ContinuousClock.Instant?, or other: Int32 = -1) -> News {
        var wanted = [descriptor, other].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while true {
            let left = deadline.map { max(ContinuousClock.now.duration(to: $0), .zero) }
            let (seconds, attoseconds) = left?.components ?? (-1, 0)
            // A Duration's part below a second is less than 10^18 attoseconds.
            let result = ckvm_poll(&wanted, nfds_t(wanted.count), seconds, attoseconds / 1_000_000_000)
            if result > 0 { return wanted[0].revents != 0 ? .ringing : .otherReadable }
            if result == 0 { return .timeIsUp }
            // EINTR: a signal for another purpose. Anything else would come again at once, so it ends the wait.
            if result != -EINTR { return .timeIsUp }
        }
    }
}
