/// A program's standard input, between the thread that reads it on the host and the guest that asks for it.
///
/// Nothing is taken from the host before the guest asks for the first time, and never more than a small piece ahead.
/// A guest that has been told that there is nothing hears when there is.
final class ExecInput: ConsoleReceiver {
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
    func isReadyToReceive() -> Bool {
        state.withLock { state in
            let isReady = state.hasAsked && state.waiting.count < Self.capacity
            state.readerWaits = !isReady
            return isReady
        }
    }

    /// Takes bytes from the host.
    ///
    /// - Returns: How many there was room for. If that is not all, the reader is woken when there is more.
    func receive(_ bytes: ArraySlice<UInt8>) -> Int {
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
    func end() {
        let rings = state.withLock { state in
            state.hasEnded = true
            defer { state.guestWaits = false }
            return state.guestWaits
        }
        if rings { ringGuest() }
    }

    /// Gives the guest what there is, as far as it fits.
    func fetch(into memory: UnsafeMutableRawBufferPointer) -> Answer {
        let (answer, wakes) = state.withLock { state -> (Answer, Bool) in
            state.hasAsked = true
            let count = min(memory.count, state.waiting.count)
            if count > 0 {
                // Sound: the count is at most the memory's.
                UnsafeMutableRawBufferPointer(rebasing: memory[..<count]).copyBytes(from: state.waiting.prefix(count))
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
