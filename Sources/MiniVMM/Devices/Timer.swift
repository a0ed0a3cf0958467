import CKVM

/// A timer that a thread can wait for together with other descriptors: a timerfd.
struct Timer: Sendable, ~Copyable {
    private let owned: OwnedDescriptor

    /// A timer that does not run.
    ///
    /// - Throws: ``KVMError/outOfResources(name:_:)`` when the system refuses another descriptor.
    init() throws(KVMError) {
        let result = ckvm_timerfd()
        guard result >= 0 else { throw .outOfResources(name: "a timerfd", ErrorNumber(rawValue: 0 &- result)) }
        owned = OwnedDescriptor(takingOver: result)
    }

    /// The descriptor, which can be read from when the time is up.
    var descriptor: Int32 { owned.number }

    /// Lets it run, once, from now. From any thread.
    ///
    /// - Parameter duration: How long; more than none, and less than a second.
    func start(_ duration: Duration) {
        // A Duration's part below a second is less than 10^18 attoseconds. The call cannot fail with such a time.
        _ = ckvm_start_timer(descriptor, duration.components.attoseconds / 1_000_000_000)
    }

    /// Makes it quiet after it has expired. Only then, or it waits for that.
    func acknowledge() {
        var expirations: UInt64 = 0
        _ = ckvm_read(descriptor, &expirations, MemoryLayout<UInt64>.size)
    }
}
