import CKVM
import Synchronization

/// What a thread sleeps on until another has news for it: an eventfd. A ring stays until it is silenced, so none is
/// missed, and several are as good as one.
package final class Doorbell: Sendable {
    private let owned: OwnedDescriptor

    /// Makes a doorbell that nobody has rung.
    ///
    /// - Throws: ``ResourceError`` when the system refuses another descriptor.
    package init() throws(ResourceError) {
        let result = ckvm_eventfd()
        guard result >= 0 else {
            throw ResourceError("an eventfd", ErrorNumber(rawValue: 0 &- result))
        }
        owned = OwnedDescriptor(takingOver: result)
    }

    /// The descriptor, which can be read from while the bell rings.
    package var descriptor: Int32 { owned.number }

    /// Wakes who sleeps on it, now or when they next do. One system call that never blocks.
    package func ring() {
        var one: UInt64 = 1
        // An eventfd takes eight bytes at once, and cannot overflow by a handful of ones.
        _ = unsafe ckvm_write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Makes it quiet again. Only while it rings, and only the thread that sleeps on it.
    package func silence() {
        var rings: UInt64 = 0
        _ = unsafe ckvm_read(descriptor, &rings, MemoryLayout<UInt64>.size)
    }

    /// Waits until it rings, and leaves it ringing.
    ///
    /// - Parameter timeout: How long at most; nil for as long as it takes.
    /// - Returns: Whether it rings.
    package func wait(timeout: Duration?) -> Bool {
        wait(until: timeout.map { .now + max($0, .zero) }) == .ringing
    }

    /// What ended a wait.
    package enum News {
        /// The bell rings.
        case ringing
        /// The bell does not ring, but the other descriptor can be read from.
        case otherReadable
        /// Neither is so, but the third descriptor can be read from; or written to, if that was waited for.
        case thirdReady
        /// None of this is so, and the time is up.
        case timeIsUp
    }

    /// Does something at each ring, which it silences before.
    ///
    /// - Parameter other: A descriptor that ends it when it can be read from.
    package func forEachRing(until other: Int32, _ body: () -> Void) {
        while wait(until: nil, or: other) == .ringing {
            silence()
            body()
        }
    }

    /// Waits until it rings, and leaves it ringing; or until something else happens.
    ///
    /// - Parameters:
    ///   - deadline: Until when at most; nil for as long as it takes.
    ///   - other: Another descriptor to wait for; -1 for none.
    ///   - third: One more.
    ///   - isWritten: Whether the third is one to write to.
    package func wait(
        until deadline: ContinuousClock.Instant?, or other: Int32 = -1, or third: Int32 = -1,
        isWritten: Bool = false
    ) -> News {
        var poll = PollSet(descriptor, other, third, isThirdWritten: isWritten)
        while true {
            let result = poll.wait(atMost: deadline.map { max(ContinuousClock.now.duration(to: $0), .zero) })
            if result > 0 {
                if poll.events.0 != 0 { return .ringing }
                return poll.events.1 != 0 ? .otherReadable : .thirdReady
            }
            if result == 0 { return .timeIsUp }
            // EINTR: a signal for another purpose. Anything else would come again at once, so it ends the wait.
            if result != -EINTR { return .timeIsUp }
        }
    }
}

/// Up to three descriptors to wait for until one of them can be read from, or the third written to. Without an array: to
/// make the first of its kind takes the Swift runtime as long as some system calls.
package struct PollSet {
    private var descriptors: (pollfd, pollfd, pollfd)

    /// A negative descriptor is not looked at.
    package init(_ first: Int32, _ second: Int32, _ third: Int32 = -1, isThirdWritten: Bool = false) {
        descriptors = (
            pollfd(fd: first, events: Int16(POLLIN), revents: 0),
            pollfd(fd: second, events: Int16(POLLIN), revents: 0),
            pollfd(fd: third, events: Int16(isThirdWritten ? POLLOUT : POLLIN), revents: 0)
        )
    }

    /// Waits.
    ///
    /// - Parameter limit: How long at most; nil for as long as it takes.
    /// - Returns: How many of them there is something to say of; 0 when the time is up; -errno.
    package mutating func wait(atMost limit: Duration?) -> Int32 {
        let (seconds, attoseconds) = limit?.components ?? (-1, 0)
        return unsafe withUnsafeMutablePointer(to: &descriptors) { all in
            // Sound: a tuple of three equal types is laid out as an array of three.
            unsafe all.withMemoryRebound(to: pollfd.self, capacity: 3) { first in
                // A Duration's part below a second is less than 10^18 attoseconds.
                unsafe ckvm_poll(first, 3, seconds, attoseconds / 1_000_000_000)
            }
        }
    }

    /// What poll(2) said of each in the last wait; 0 for nothing.
    package var events: (Int16, Int16, Int16) {
        (descriptors.0.revents, descriptors.1.revents, descriptors.2.revents)
    }
}

/// A signal that several threads give together, the last one's being the signal, and that one thread waits for, with
/// or without a deadline.
package final class EndSignal: Sendable {
    /// Rung when the signal is given. It may be rung for other reasons too, to wake the thread that waits.
    package let bell: Doorbell
    private let missing: Atomic<Int>

    /// A signal that `count` threads give.
    ///
    /// - Throws: ``ResourceError`` when the system refuses another descriptor.
    package init(count: Int) throws(ResourceError) {
        missing = Atomic(count)
        bell = try Doorbell()
    }

    /// Gives one thread's part of the signal.
    package func give() {
        guard missing.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        bell.ring()
    }

    /// Whether the signal was given.
    package var isGiven: Bool { missing.load(ordering: .acquiring) == 0 }

    /// Waits for the signal, where nobody rings the bell for other reasons.
    ///
    /// - Parameter timeout: How long at most; nil for as long as it takes.
    /// - Returns: Whether the signal was given.
    package func wait(timeout: Duration?) -> Bool {
        bell.wait(timeout: timeout)
    }
}

/// A timer that a thread can wait for together with other descriptors: a timerfd.
package struct Timer: Sendable, ~Copyable {
    private let owned: OwnedDescriptor

    /// A timer that does not run.
    ///
    /// - Throws: ``ResourceError`` when the system refuses another descriptor.
    package init() throws(ResourceError) {
        let result = ckvm_timerfd()
        guard result >= 0 else { throw ResourceError("a timerfd", ErrorNumber(rawValue: 0 &- result)) }
        owned = OwnedDescriptor(takingOver: result)
    }

    /// The descriptor, which can be read from when the time is up.
    package var descriptor: Int32 { owned.number }

    /// Lets it run, once, from now. From any thread.
    ///
    /// - Parameter duration: How long; more than none, and less than a second.
    package func start(_ duration: Duration) {
        // A Duration's part below a second is less than 10^18 attoseconds. The call cannot fail with such a time.
        _ = ckvm_start_timer(descriptor, duration.components.attoseconds / 1_000_000_000)
    }

    /// Makes it quiet after it has expired. Only then, or it waits for that.
    package func acknowledge() {
        var expirations: UInt64 = 0
        _ = unsafe ckvm_read(descriptor, &expirations, MemoryLayout<UInt64>.size)
    }
}

/// What threads sleep on until something changes, however many they are: a futex that is counted up at every change.
///
/// Whoever waits takes a ticket first, then looks at what it waits for, and then sleeps: a change in between ends the
/// sleep at once.
// Safe to use: the word is allocated with the signal and released with it.
@safe
package final class ConditionSignal: Sendable {
    /// Sound to share between threads: the pointer never changes, and what it points to is atomic.
    private nonisolated(unsafe) let changes = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)

    /// A signal without changes.
    package init() {
        unsafe changes.initialize(to: Atomic(0))
    }

    deinit {
        unsafe changes.deinitialize(count: 1)
        unsafe changes.deallocate()
    }

    /// The changes so far. Modulo 2^32.
    package var ticket: UInt32 { unsafe changes.pointee.load(ordering: .sequentiallyConsistent) }

    /// Notes a change and wakes all that sleep.
    package func notifyAll() {
        unsafe changes.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        unsafe ckvm_futex_wake_all(word)
    }

    /// Sleeps until there is a change after a ticket was taken.
    ///
    /// - Parameters:
    ///   - ticket: What ``ticket`` was.
    ///   - timeout: How long at most; nil for as long as it takes.
    /// - Returns: Whether there was a change.
    package func wait(after ticket: UInt32, timeout: Duration?) -> Bool {
        let deadline = timeout.map { ContinuousClock.now + $0 }
        while self.ticket == ticket {
            let left = deadline.map { max(ContinuousClock.now.duration(to: $0), .zero) }
            if left == .zero { return false }
            let (seconds, attoseconds) = left?.components ?? (-1, 0)
            unsafe ckvm_futex_wait(word, ticket, seconds, attoseconds / 1_000_000_000)
        }
        return true
    }

    /// The word for the kernel, which compares it and does not write to it.
    private var word: UnsafePointer<UInt32> {
        // Sound: an atomic of 32 bits has the size and alignment of its value, and lives as long as this object.
        unsafe UnsafeRawPointer(changes).assumingMemoryBound(to: UInt32.self)
    }
}
