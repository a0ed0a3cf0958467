import Synchronization

/// A value that is made when it is first asked for, and then kept. What fails is tried again.
final class FirstResult<Value: Sendable>: Sendable {
    private let kept = Mutex<Value?>(nil)

    /// The value.
    ///
    /// - Parameter make: Makes it; on one thread at a time.
    func value(orMake make: () throws -> Value) rethrows -> Value {
        try kept.withLock { kept in
            if let kept { return kept }
            let made = try make()
            kept = made
            return made
        }
    }
}
