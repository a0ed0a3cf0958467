import CKVM

/// Where one of a program's output streams goes: a descriptor that is written to as the bytes come.
///
/// A reader that does not read holds the guest up. Ending the run drops what is still to be written: the kick's signal
/// interrupts the write, and `shouldGiveUp` tells.
final class ExecOutput: Sendable {
    private let descriptor: Int32
    private let shouldGiveUp: @Sendable () -> Bool
    /// Serializes the vCPUs, so that no piece of output is torn apart. Holds why there is no writing any more.
    private let failure = Locked<ErrorNumber?>(nil)

    /// An output to a descriptor, which is not closed.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor.
    ///   - shouldGiveUp: Whether an interrupted write should be dropped.
    init(descriptor: Int32, shouldGiveUp: @escaping @Sendable () -> Bool) {
        self.descriptor = descriptor
        self.shouldGiveUp = shouldGiveUp
    }

    /// Writes bytes: all of them, unless it fails or the run ends.
    ///
    /// - Returns: Why it failed, now or before.
    func write(_ bytes: UnsafeRawBufferPointer) -> ErrorNumber? {
        failure.withLock { failure in
            var rest = bytes[...]
            while failure == nil, !rest.isEmpty {
                // Sound: the pointer and the count are those of what is left of the caller's buffer.
                let part = UnsafeRawBufferPointer(rebasing: rest)
                let result = ckvm_write(descriptor, part.baseAddress, part.count)
                if result > 0 {
                    rest = rest.dropFirst(result)
                } else if !isPassing(result) {
                    failure = ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- result))
                } else if shouldGiveUp() {
                    return nil
                }
            }
            return failure
        }
    }

    /// Whether what write(2) returned is no reason to stop. Waits for a descriptor that somebody has made non-blocking.
    private func isPassing(_ result: Int) -> Bool {
        guard result == -Int(EAGAIN) else { return result == -Int(EINTR) }
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        // A signal ends the wait, and the next write tells whether it had come to its end by itself.
        _ = poll(&wanted, 1, -1)
        return true
    }
}
