import CKVM
import Devices
import Host

/// A program's standard input, between the thread that reads it on the host and the guest that asks for it.
///
/// Nothing is taken from the host before the guest asks for the first time, and never more than a small piece ahead.
/// A guest that has been told that there is nothing hears when there is.
package final class ExecInput: ConsoleReceiver {
    private struct State {
        /// What the guest has not fetched yet.
        var waiting: [UInt8] = []
        /// Whether the guest has asked at all.
        var hasAsked = false
        /// Whether the guest was told that there is nothing, and waits to hear that there is.
        var guestWaits = false
        /// Whether the reader was told that there is no room, and waits to hear that there is.
        var readerWaits = false
        /// Whether nothing comes any more.
        var hasEnded = false
    }

    /// What the guest's asking comes to.
    enum Answer: Hashable, Sendable {
        /// That many bytes; 0 for none yet.
        case bytes(Int)
        /// There will not be any more.
        case end
    }

    private let state = Locked(State())
    private let ringGuest: @Sendable () -> Void
    private let wakeReader: @Sendable () -> Void

    /// The bytes that are held at most.
    static let capacity = 0x1_0000

    /// An input that nothing has come from yet.
    ///
    /// - Parameters:
    ///   - ringGuest: Tells the guest that it is worthwhile to ask again. Called on any thread.
    ///   - wakeReader: Tells the reader that there is room again. Called on a vCPU's thread.
    init(ringGuest: @escaping @Sendable () -> Void, wakeReader: @escaping @Sendable () -> Void) {
        self.ringGuest = ringGuest
        self.wakeReader = wakeReader
    }

    /// Whether the guest wants input and there is room for it. If not, the reader is woken when there is.
    package func isReadyToReceive() -> Bool {
        state.withLock { state in
            let isReady = state.hasAsked && state.waiting.count < Self.capacity
            state.readerWaits = !isReady
            return isReady
        }
    }

    /// Takes bytes from the host.
    ///
    /// - Returns: How many there was room for. If that is not all, the reader is woken when there is more.
    package func receive(_ bytes: ArraySlice<UInt8>) -> Int {
        let (taken, rings) = state.withLock { state in
            let taken = bytes.prefix(state.hasAsked ? Self.capacity - state.waiting.count : 0)
            state.waiting += taken
            state.readerWaits = taken.count < bytes.count
            let rings = state.guestWaits && !taken.isEmpty
            if rings { state.guestWaits = false }
            return (taken.count, rings)
        }
        if rings { ringGuest() }
        return taken
    }

    /// Notes that the host has no more input.
    package func end() {
        let rings = state.withLock { state in
            state.hasEnded = true
            defer { state.guestWaits = false }
            return state.guestWaits
        }
        if rings { ringGuest() }
    }

    /// Gives the guest the input so far, as far as it fits.
    func fetch(into memory: UnsafeMutableRawBufferPointer) -> Answer {
        let (answer, wakes) = state.withLock { state -> (Answer, Bool) in
            state.hasAsked = true
            let count = min(memory.count, state.waiting.count)
            if count > 0 {
                // Sound: the count is at most the memory's.
                unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<count]).copyBytes(
                    from: state.waiting.prefix(count))
                state.waiting.removeFirst(count)
            }
            state.guestWaits = count == 0 && !state.hasEnded
            defer { state.readerWaits = false }
            return (count == 0 && state.hasEnded ? .end : .bytes(count), state.readerWaits)
        }
        if wakes { wakeReader() }
        return answer
    }
}

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
            var rest = unsafe bytes[...]
            while failure == nil, unsafe !rest.isEmpty {
                // Sound: the pointer and the count are those of what is left of the caller's buffer.
                let part = unsafe UnsafeRawBufferPointer(rebasing: rest)
                let result = unsafe ckvm_write(descriptor, part.baseAddress, part.count)
                if result > 0 {
                    unsafe rest = unsafe rest.dropFirst(result)
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
        _ = unsafe poll(&wanted, 1, -1)
        return true
    }
}
