import CKVM
package import Host
import Synchronization

/// Where the guest's console goes: a file descriptor that is written to line by line, in order.
///
/// What a guest writes is kept until the line ends, the buffer is full, or some milliseconds have passed: a timer sees
/// to it that a prompt is not kept for longer. Only vCPUs' threads write to the descriptor. The thread that waits for
/// the run's end watches the timer, and has a vCPU kicked when its guest leaves a line unfinished and is silent.
///
/// A reader that does not read holds the guest up. Ending the run then drops what is still to be written: the kick's
/// signal interrupts the write, and `shouldGiveUp` tells.
///
/// A reader that has gone makes writes fail, as a full disk does, and with a signal besides: a process that does not
/// want to be killed by SIGPIPE ignores it.
package final class ConsoleOutput: Sendable {
    private struct State {
        /// What the guest has written and nobody has read yet. It never grows beyond ``ConsoleOutput/capacity``.
        var buffer: [UInt8] = []
        var hasFailed = false
    }

    private let descriptor: Int32
    private let shouldGiveUp: @Sendable () -> Bool
    private let onFailure: @Sendable (ConsoleError) -> Void
    /// A line that makes way for the guest's output on the same terminal.
    private let statusLine: StatusLine?
    /// Serializes the vCPUs, which may share a console.
    private let state: Locked<State>
    private let timer: Timer
    /// Whether there are bytes in the buffer that nobody is about to write.
    private let isPending = Atomic(false)
    /// Whether the timer runs. It is left to run when its bytes have been written, and serves for the next.
    private let isTimed = Atomic(false)
    /// Whether the time is up for what is in the buffer.
    private let isOverdue = Atomic(false)

    /// As much as a pipe takes at once (PIPE_BUF).
    private static let capacity = 4096
    private static let newline = UInt8(ascii: "\n")
    /// How long the timer runs. A guest that goes on writing has its line written when this is over, and one that does
    /// not after twice as long: until then the next byte could come, and a vCPU need not be kicked.
    private static let delay = Duration.milliseconds(5)

    /// A console on a descriptor, which is not closed.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor that is written to.
    ///   - shouldGiveUp: Whether an interrupted write should be dropped.
    ///   - statusLine: A line that makes way for what is written, if it is on the same terminal.
    ///   - onFailure: Called on the vCPU's thread, once: from then on, nothing is written any more.
    /// - Throws: `ResourceError` when the system refuses a timer.
    package init(
        descriptor: Int32,
        shouldGiveUp: @escaping @Sendable () -> Bool = { false },
        statusLine: StatusLine? = nil,
        onFailure: @escaping @Sendable (ConsoleError) -> Void = { _ in }
    ) throws(ResourceError) {
        self.descriptor = descriptor
        self.shouldGiveUp = shouldGiveUp
        self.onFailure = onFailure
        self.statusLine = statusLine
        timer = try Timer()
        var buffer: [UInt8] = []
        buffer.reserveCapacity(Self.capacity)
        state = Locked(State(buffer: buffer))
    }
}

// MARK: For the vCPUs' threads

extension ConsoleOutput {
    /// Takes a byte.
    package func write(_ byte: UInt8) {
        let failure = state.withLock { state -> ErrorNumber? in
            guard !state.hasFailed else { return nil }
            state.buffer.append(byte)
            if byte == Self.newline || state.buffer.count == Self.capacity || isOverdue.load(ordering: .relaxed) {
                return writeOut(&state)
            }
            if state.buffer.count == 1 { startWaiting() }
            return nil
        }
        if let failure { onFailure(.notWritable(failure)) }
    }

    /// Takes bytes that come at once. They come out at the latest when a line ends among them.
    package func write(_ bytes: UnsafeRawBufferPointer) {
        let failure = state.withLock { state -> ErrorNumber? in
            guard !state.hasFailed, unsafe !bytes.isEmpty else { return nil }
            if state.buffer.count + bytes.count >= Self.capacity {
                // What there is first; and then without a copy.
                let failure = state.buffer.isEmpty ? nil : writeOut(&state)
                return unsafe failure ?? writeOut(&state, more: bytes)
            }
            let wasEmpty = state.buffer.isEmpty
            unsafe state.buffer.append(contentsOf: bytes)
            let isLine = unsafe bytes.contains(Self.newline)
            if isLine || isOverdue.load(ordering: .relaxed) { return writeOut(&state) }
            if wasEmpty { startWaiting() }
            return nil
        }
        if let failure { onFailure(.notWritable(failure)) }
    }

    /// Takes bytes from a thread that must not wait for the reader: a vCPU's thread writes them in time. Of what there is
    /// no room for the end gets lost.
    package func keep(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        state.withLock { state in
            guard !state.hasFailed else { return }
            state.buffer += bytes.prefix(Self.capacity - 1 - state.buffer.count)
            startWaiting()
        }
    }

    /// Writes what is kept. It blocks while the reader does not read.
    package func flush() {
        let failure = state.withLock { state in state.buffer.isEmpty ? nil : writeOut(&state) }
        if let failure { onFailure(.notWritable(failure)) }
    }

    /// Writes what has been kept for too long. To be called after a kick.
    @inline(__always)
    package func flushIfOverdue() {
        if isOverdue.load(ordering: .relaxed) { flush() }
    }

    /// From now on there is something that must not be kept for long.
    private func startWaiting() {
        isPending.store(true, ordering: .sequentiallyConsistent)
        startTimer()
    }

    /// Starts the timer, unless it runs.
    private func startTimer() {
        if !isTimed.exchange(true, ordering: .sequentiallyConsistent) { timer.start(Self.delay) }
    }

    /// Writes the buffer, or gives it up. It is empty afterwards.
    ///
    /// - Returns: Why it cannot be written, if it cannot.
    private func writeOut(_ state: inout State) -> ErrorNumber? {
        let failure = writeOut(endingIn: state.buffer.last) { writeAll(state.buffer) }
        state.buffer.removeAll(keepingCapacity: true)
        state.hasFailed = failure != nil
        return failure
    }

    /// Writes bytes that are in no buffer.
    private func writeOut(_ state: inout State, more bytes: UnsafeRawBufferPointer) -> ErrorNumber? {
        let failure = unsafe writeOut(endingIn: bytes.last) { unsafe writeAll(bytes) }
        state.hasFailed = failure != nil
        return failure
    }

    private func writeOut(endingIn last: UInt8?, _ write: () -> ErrorNumber?) -> ErrorNumber? {
        // First of all, so that nobody is kicked because of bytes that are being written.
        isPending.store(false, ordering: .sequentiallyConsistent)
        isOverdue.store(false, ordering: .relaxed)
        guard let statusLine else { return write() }
        var failure: ErrorNumber?
        statusLine.makeWay(forTextEndingIn: last) { failure = write() }
        return failure
    }

    private func writeAll(_ buffer: [UInt8]) -> ErrorNumber? {
        unsafe buffer.withUnsafeBytes { unsafe writeAll($0) }
    }

    private func writeAll(_ bytes: UnsafeRawBufferPointer) -> ErrorNumber? {
        var rest = unsafe bytes[...]
        while unsafe !rest.isEmpty {
            let part = unsafe UnsafeRawBufferPointer(rebasing: rest)
            let result = unsafe ckvm_write(descriptor, part.baseAddress, part.count)
            if result >= 0 {
                unsafe rest = unsafe rest.dropFirst(result)
                continue
            }
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
        return nil
    }

    /// Waits for a descriptor that somebody has made non-blocking.
    ///
    /// - Returns: Whether to try again.
    private func waitUntilWritable() -> Bool {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&wanted, 1, -1) >= 0 || !shouldGiveUp()
    }
}

// MARK: For the thread that watches the timer

extension ConsoleOutput {
    /// The timer's descriptor, which can be read from when the time is up: then ``timerHasExpired()`` is to be called.
    package var timerDescriptor: Int32 { timer.descriptor }

    /// Notes that the timer has expired.
    ///
    /// - Returns: Whether a vCPU has to be kicked, to write what its guest has left unfinished.
    package func timerHasExpired() -> Bool {
        timer.acknowledge()
        if isPending.load(ordering: .sequentiallyConsistent) {
            timer.start(Self.delay)
            return isOverdue.exchange(true, ordering: .sequentiallyConsistent)
        }
        isTimed.store(false, ordering: .sequentiallyConsistent)
        // A byte that came in between found the timer running.
        if isPending.load(ordering: .sequentiallyConsistent) { startTimer() }
        return false
    }
}

/// Why the guest's console goes nowhere.
package enum ConsoleError: Error, Hashable, Sendable {
    /// What the guest says cannot be written: nobody reads it any more, the disk is full.
    case notWritable(ErrorNumber)
}

extension ConsoleError: DiagnosticError {
    package var explanation: String {
        switch self {
        case .notWritable(let error):
            "The guest's console output cannot be written (\(error.name): \(error.description))."
        }
    }
}
