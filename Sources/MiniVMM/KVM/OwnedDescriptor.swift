import CKVM

/// A file descriptor with one owner, which closes it exactly once.
struct OwnedDescriptor: ~Copyable, Sendable {
    let number: Int32

    /// Takes a descriptor over. Nobody else may close it.
    init(takingOver number: Int32) {
        self.number = number
    }

    deinit {
        // close(2) releases the descriptor on Linux whatever it returns, so there is nothing to retry.
        _ = ckvm_close(number)
    }
}
