public import Synchronization

/// A value that only one thread at a time may touch: a `Mutex` that the thread sanitizer understands.
///
/// Where threads wait for each other, the standard library's lock is taken in its own code, which is built without the
/// sanitizer. That then takes what two threads did one after the other for a race. So the lock is handed over a second
/// time, by an atomic that the sanitizer sees; on x86 its two accesses are plain ones, to a cache line that is at hand.
@usableFromInline
package struct Locked<Value: ~Copyable>: ~Copyable, Sendable {
    @usableFromInline let mutex: Mutex<Value>
    @usableFromInline let handover: Atomic<Bool>

    @inlinable
    package init(_ value: consuming sending Value) {
        mutex = Mutex(value)
        handover = Atomic(false)
    }

    /// Calls a closure with the value, while no other thread has it.
    @inlinable
    package borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try mutex.withLock { value throws(Failure) -> sending Result in
            _ = handover.load(ordering: .acquiring)
            defer { handover.store(false, ordering: .releasing) }
            return try body(&value)
        }
    }
}
