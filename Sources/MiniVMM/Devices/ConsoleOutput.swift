import CKVM
import Synchronization

/// Where the guest's console goes: a file descriptor that is written to byte by byte, in order, without a buffer, so
/// that what the guest said is there at once, however the run ends.
///
/// A reader that does not read holds the guest up. Ending the run then drops what is still to be written: the kick's
/// signal interrupts the write, and `shouldGiveUp` tells.
public final class ConsoleOutput: Sendable {
    private let descriptor: Int32
    private let shouldGiveUp: @Sendable () -> Bool
    /// Serializes the vCPUs, which may share a console.
    private let failure = Mutex<ErrorNumber?>(nil)

    /// A console on a descriptor, which is not closed.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor that is written to.
    ///   - shouldGiveUp: Whether an interrupted write should be dropped.
    public init(descriptor: Int32, shouldGiveUp: @escaping @Sendable () -> Bool = { false }) {
        self.descriptor = descriptor
        self.shouldGiveUp = shouldGiveUp
    }

    /// Why output was lost, if it was.
    public var lostOutput: ErrorNumber? { failure.withLock { $0 } }

    /// Writes a byte.
    public func write(_ byte: UInt8) {
        failure.withLock { failure in
            guard failure == nil else { return }
            while true {
                var byte = byte
                let result = ckvm_write(descriptor, &byte, 1)
                if result == 1 { return }
                let error = ErrorNumber(rawValue: Int32(truncatingIfNeeded: 0 &- result))
                switch error {
                case .interrupted:
                    if shouldGiveUp() { return }
                case .tryAgain:
                    if !waitUntilWritable() { return }
                default:
                    failure = error
                    return
                }
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
