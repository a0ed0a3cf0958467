import CKVM
import Synchronization

/// Where the guest's console goes: a file descriptor that is written to byte by byte, in order, without a buffer, so
/// that what the guest said is there at once, however the run ends.
///
/// A reader that does not read holds the guest up. Ending the run then drops what is still to be written: the kick's
/// signal interrupts the write, and `shouldGiveUp` tells.
///
/// A reader that has gone makes writes fail, as a full disk does, and with a signal besides: a process that does not
/// want to be killed by SIGPIPE ignores it.
public final class ConsoleOutput: Sendable {
    private let descriptor: Int32
    private let shouldGiveUp: @Sendable () -> Bool
    private let onFailure: @Sendable (ConsoleError) -> Void
    /// A line that makes way for the guest's output on the same terminal.
    private let statusLine: StatusLine?
    /// Serializes the vCPUs, which may share a console.
    private let hasFailed = Mutex(false)

    /// A console on a descriptor, which is not closed.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor that is written to.
    ///   - shouldGiveUp: Whether an interrupted write should be dropped.
    ///   - statusLine: A line that makes way for what is written, if it is on the same terminal.
    ///   - onFailure: Called on the vCPU's thread, once: from then on, nothing is written any more.
    public init(
        descriptor: Int32,
        shouldGiveUp: @escaping @Sendable () -> Bool = { false },
        statusLine: StatusLine? = nil,
        onFailure: @escaping @Sendable (ConsoleError) -> Void = { _ in }
    ) {
        self.descriptor = descriptor
        self.shouldGiveUp = shouldGiveUp
        self.onFailure = onFailure
        self.statusLine = statusLine
    }

    /// Writes a byte.
    public func write(_ byte: UInt8) {
        let failure = hasFailed.withLock { hasFailed -> ErrorNumber? in
            statusLine?.makeWay(for: byte)
            guard !hasFailed, let failure = writeOnce(byte) else { return nil }
            hasFailed = true
            return failure
        }
        if let failure { onFailure(.notWritable(failure)) }
    }

    /// Writes a byte, or gives it up.
    ///
    /// - Returns: Why it cannot be written, if it cannot.
    private func writeOnce(_ byte: UInt8) -> ErrorNumber? {
        while true {
            var byte = byte
            let result = ckvm_write(descriptor, &byte, 1)
            if result == 1 { return nil }
            let error = ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- result))
            switch error {
            case .interrupted:
                if shouldGiveUp() { return nil }
            case .tryAgain:
                if !waitUntilWritable() { return nil }
            default:
                return error
            }
        }
    }

    /// Waits for a descriptor that somebody has made non-blocking.
    ///
    /// - Returns: Whether to try again.
    private func waitUntilWritable() -> Bool {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&wanted, 1, -1) >= 0 || !shouldGiveUp()
    }
}
