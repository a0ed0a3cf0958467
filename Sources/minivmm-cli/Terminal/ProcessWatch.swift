import CKVM
import Counters
import Glibc
import Host
import Synchronization

/// Sees to it that the process ends when it should, from its first instruction to its last.
///
/// Signals such as SIGINT and SIGTERM are blocked in the thread that makes the watch and, by inheritance, in all that
/// it starts; a thread of the watch's own waits for them, and for the time that `--timeout` gives the process. What it
/// does depends on how far the command is:
///
/// - Before there is a machine, a signal ends the process at once, as by default; so does the end of the time, after a
///   moment that lets a machine which is nearly there end by itself, with its statistics.
/// - While the machine runs, a signal ends the run, so that its statistics are not lost. The time is the machine's.
/// - After the run, a signal ends the process at once. A write that nobody takes ends it when the time is up or a
///   signal has come.
///
/// The second signal ends the process as it does by default, whatever the first has led to. A process makes one watch,
/// before it starts other threads; it lasts as long as the process.
final class ProcessWatch: Sendable {
    private enum Phase {
        case preparing
        case running
        case finishing
    }

    private struct State {
        var phase = Phase.preparing
        var handler: (@Sendable (Int32) -> Void)?
        /// What is called when the terminal's size has changed.
        var onResize: (@Sendable () -> Void)?
        /// The first signal that came.
        var signal: Int32?
        /// From when on nothing is waited for any more.
        var deadline: ContinuousClock.Instant?
    }

    /// When the process began, as near as it can tell.
    static let processStart = ContinuousClock.now
    /// How long something is waited for when the time is up already.
    private static let patience = Duration.milliseconds(500)
    /// How often it is looked whether something goes on, when the time is up.
    private static let interval = Duration.milliseconds(100)

    private let state: Locked<State>
    /// Whether the watch's thread has given up what it does not need.
    private let isReady = Atomic(false)
    private let change = ConditionSignal()
    private let timeLimit: ContinuousClock.Instant?

    /// Blocks the signals and starts to wait for them.
    ///
    /// - Parameters:
    ///   - timeout: How long the process may take; nil for as long as it likes.
    ///   - signals: The signals' numbers.
    /// - Throws: `ResourceError` when the system refuses a thread.
    init(timeout: Duration? = nil, signals: [Int32] = [SIGINT, SIGTERM, SIGHUP]) throws(ResourceError) {
        timeLimit = timeout.map { Self.processStart + $0 }
        state = Locked(State(deadline: timeLimit))
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for number in signals + [SIGWINCH] { unsafe sigaddset(&set, number) }
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        let waited = set
        _ = try PosixThread(name: "signals") { [self] in
            // It needs none, and capabilities are each thread's own.
            _ = ckvm_drop_capabilities()
            isReady.store(true, ordering: .sequentiallyConsistent)
            change.notifyAll()
            while true {
                if let number = Self.next(of: waited, within: patienceLeft()) {
                    if number == SIGWINCH { resize() } else { deliver(number) }
                } else {
                    look()
                }
            }
        }
    }

    /// The time that the process has left; nil when there is no limit.
    var timeLeft: Duration? {
        timeLimit.map { max(ContinuousClock.now.duration(to: $0), .zero) }
    }

    /// Tells the watch that there is a machine, and who is called with the number of the first signal: on the watch's
    /// thread, or on the caller's, now, if it has come already.
    ///
    /// - Parameter onResize: Called on the watch's thread when the terminal's size has changed, and once before.
    func startRun(onResize: (@Sendable () -> Void)? = nil, _ handler: @escaping @Sendable (Int32) -> Void) {
        while true {
            let ticket = change.ticket
            if isReady.load(ordering: .sequentiallyConsistent) { break }
            _ = change.wait(after: ticket, timeout: nil)
        }
        let pending = state.withLock { state in
            state.phase = .running
            state.handler = handler
            state.onResize = onResize
            return state.signal
        }
        onResize?()
        if let pending { handler(pending) }
    }

    /// Tells the watch that the run is over.
    func endRun() {
        state.withLock { state in
            state.phase = .finishing
            state.handler = nil
            state.onResize = nil
        }
    }

    /// The next of some signals.
    ///
    /// - Parameter patience: How long to wait; nil for as long as it takes.
    /// - Returns: Nil when none has come in that time.
    private static func next(of signals: sigset_t, within patience: Duration?) -> Int32? {
        var signals = signals
        let result: Int32
        if let patience {
            // A Duration's part below a second is less than 10^18 attoseconds.
            var time = timespec(
                tv_sec: Int(clamping: patience.components.seconds),
                tv_nsec: Int(patience.components.attoseconds / 1_000_000_000))
            result = unsafe sigtimedwait(&signals, nil, &time)
        } else {
            result = unsafe sigwaitinfo(&signals, nil)
        }
        return result > 0 ? result : nil
    }

    /// How long nothing but a signal is of interest; nil for as long as it takes.
    private func patienceLeft() -> Duration? {
        guard let deadline = state.withLock({ $0.deadline }) else { return nil }
        return max(ContinuousClock.now.duration(to: deadline), Self.interval)
    }

    private func resize() {
        state.withLock { $0.onResize }?()
    }

    private func deliver(_ number: Int32) {
        let (handler, isLast) = state.withLock { state in
            let isLast = state.signal != nil || state.phase != .running
            state.signal = state.signal ?? number
            // From now on nobody is waited for who takes no output.
            state.deadline = min(state.deadline ?? .now, .now)
            return (state.handler, isLast)
        }
        if isLast { ProcessEnding.endNow(by: number) }
        handler?(number)
    }

    /// Ends the process if the time is up and nothing goes on.
    private func look() {
        let (phase, signal, deadline) = state.withLock { ($0.phase, $0.signal, $0.deadline) }
        let now = ContinuousClock.now
        guard let deadline, now >= deadline else { return }
        let isStuck = PendingWrites.oldest.map { now - max($0, deadline) >= Self.patience } ?? false
        if phase == .preparing, now - deadline >= Self.patience {
            ProcessEnding.endNow(
                saying: "minivmm: \(RunEnding.timeout.summary) before the guest was started.\n", .timeout)
        } else if isStuck {
            ProcessEnding.endNow(
                saying: "minivmm: output was given up that nobody takes.\n", signal.map(ExitStatus.signal) ?? .timeout)
        }
    }
}

/// The end of the process from a thread that is not the command's own, which may wait for something.
enum ProcessEnding {
    /// Ends the process as a signal does by default.
    static func endNow(by number: Int32) -> Never {
        prepare()
        signal(number, SIG_DFL)
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, number)
        unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
        raise(number)
        // Unless the signal does nothing by default.
        _exit(ExitStatus.signal(number).rawValue)
    }

    /// Ends the process with a status, and says why if somebody listens.
    static func endNow(saying text: String, _ status: ExitStatus) -> Never {
        prepare()
        var wanted = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        if unsafe ckvm_poll(&wanted, 1, 0, 0) == 1, wanted.revents & Int16(POLLOUT) != 0 {
            let bytes = Array(text.utf8)
            // Short enough for the pipe's room that poll(2) has seen.
            _ = unsafe ckvm_write(STDERR_FILENO, bytes, bytes.count)
        }
        _exit(status.rawValue)
    }

    /// What must be put right however the process ends.
    private static func prepare() {
        UnfinishedFiles.removeAll()
        Terminal.release()
    }
}

/// The writes of the command that have begun and not ended, so that one that nobody takes can be given up.
enum PendingWrites {
    private struct Start: Sendable {
        let number: UInt64
        let time: ContinuousClock.Instant
    }

    /// As many as there are threads that write, the oldest first.
    private static let starts = Locked<[Start]>([])
    private static let nextNumber = Atomic<UInt64>(0)

    /// When the oldest of them began.
    static var oldest: ContinuousClock.Instant? { starts.withLock { $0.first?.time } }

    /// Does a write that may take as long as somebody likes.
    static func during<Result>(_ write: () -> Result) -> Result {
        let number = nextNumber.wrappingAdd(1, ordering: .relaxed).newValue
        starts.withLock { $0.append(Start(number: number, time: .now)) }
        defer { starts.withLock { $0.removeAll { $0.number == number } } }
        return write()
    }
}
