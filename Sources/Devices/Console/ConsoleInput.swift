import CKVM
package import Host
import Synchronization

/// The way from a descriptor to the guest's console: a thread that reads and feeds, while a run lasts.
///
/// Many guests never ask for input, and a thread takes a small one's run a twentieth of its time. So where nothing is to
/// be read before the guest asks, the thread may be left for then.
///
/// Nothing is lost and nothing spins: while the guest has no room, the thread sleeps until the bell rings. When the
/// input ends, the guest gets no more; a run goes on without.
// Safe to use: the closure reads into memory that is lent for the call, with its size.
@safe
package final class ConsoleInput: Sendable {
    private final class Ending: Sendable {
        let isRequested = Atomic(false)
        let failure = Locked<ErrorNumber?>(nil)
    }

    private let source: ConsoleSource
    private let receiver: any ConsoleReceiver
    private let read: ConsoleFeeder.Read
    private let ending = Ending()
    private let bell: Doorbell
    private let hasEnded: EndSignal
    /// The thread, once it was started.
    private let thread = Locked<PosixThread?>(nil)
    /// The console to give back, if one was taken over.
    private let console: (any InteractiveConsole)?

    /// How long a thread that is to end may take before it is interrupted, and interrupted again.
    private static let patience = Duration.milliseconds(20)

    /// Starts to feed the guest. An interactive console is taken over.
    ///
    /// With `whenAsked`, a guest that does not take a byte yet is not fed until ``start()`` is called: when the bell rings
    /// for the first time.
    ///
    /// - Parameters:
    ///   - source: Where the input comes from.
    ///   - receiver: The device that takes it.
    ///   - whenAsked: Whether to start only when the guest would take a byte, unless the console is interactive.
    ///   - bell: What the device rings when it has turned bytes away and would take more. It is this object's alone.
    ///   - read: How the descriptor is read from.
    /// - Throws: `ResourceError` when the system refuses a thread or a descriptor.
    package init(
        _ source: ConsoleSource,
        to receiver: any ConsoleReceiver,
        whenAsked: Bool = false,
        bell: Doorbell,
        read: @escaping ConsoleFeeder.Read = { unsafe ckvm_read($0, $1.baseAddress, $1.count) }
    ) throws(ResourceError) {
        try KickSignal.install()
        hasEnded = try EndSignal(count: 1)
        var console: (any InteractiveConsole)?
        if case .interactive(let candidate) = source, candidate.takeOver(wake: bell.descriptor) {
            _ = candidate.prepareToRead()
            console = candidate
        }
        self.console = console
        self.source = source
        self.receiver = receiver
        self.bell = bell
        unsafe self.read = unsafe read
        // To ask makes the receiver ring when it would take one.
        if case .stream = source, whenAsked, !receiver.isReadyToReceive() { return }
        do {
            try start()
        } catch {
            console?.release()
            throw error
        }
    }

    /// Rung by the device when the guest asks for input for the first time, while there is no thread; else nil.
    package var firstRing: Doorbell? { thread.withLock({ $0 == nil }) ? bell : nil }

    /// Starts the thread. Once.
    ///
    /// - Throws: `ResourceError` when the system refuses it.
    package func start() throws(ResourceError) {
        let (source, receiver, bell, ending, hasEnded) = (source, receiver, bell, ending, hasEnded)
        let read = unsafe read
        let started = try PosixThread(name: "console input") {
            Self.refuseStop()
            var feeder = unsafe ConsoleFeeder(source, to: receiver, bell: bell, read: read)
            feeder.run { ending.isRequested.load(ordering: .acquiring) }
            let failure = feeder.failure
            ending.failure.withLock { $0 = failure }
            hasEnded.give()
        }
        thread.withLock { $0 = started }
    }

    /// Why the input could not be read to its end, if so. After ``end()``.
    package var failure: ErrorNumber? { ending.failure.withLock { $0 } }

    /// Asks the thread to end, and does not wait for it.
    package func requestEnd() {
        ending.isRequested.store(true, ordering: .releasing)
        bell.ring()
    }

    /// Ends the feeding, waits until the thread is gone, and gives the console back. Once, when the vCPUs have stopped.
    package func end() {
        requestEnd()
        // Somebody else may have read what poll(2) announced, and the thread be stuck in read(2). A kick that comes just
        // before read(2) has no effect, so there may have to be more than one.
        if let thread = thread.withLock({ $0 }) {
            while !hasEnded.wait(timeout: Self.patience) { thread.kick() }
            thread.join()
        }
        console?.release()
    }

    /// With SIGTTIN blocked, reading a terminal in the background is an error, and does not stop the whole process.
    private static func refuseStop() {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGTTIN)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    }
}

/// Where a guest's console input comes from.
public enum ConsoleSource: Sendable {
    /// A descriptor, such as a pipe, a file or a terminal with line editing. Nothing is read before the guest asks for
    /// input, so what it does not want is left to others; but what is read is read in pieces larger than a byte.
    case stream(Int32)
    /// A console at which a person sits. It is read from at all times, for the sake of the keys that are not for the
    /// guest.
    case interactive(any InteractiveConsole)
}

/// A console at which a person sits, such as a terminal in raw mode. A run takes it over.
public protocol InteractiveConsole: Sendable {
    /// The descriptor that is read from, which is not closed.
    var descriptor: Int32 { get }

    /// Takes the console over for a run. What follows is called on the thread that reads, up to ``release()``.
    ///
    /// - Parameter wake: An eventfd(2) to write to when ``prepareToRead()`` is to be called again. It lasts until
    ///   ``release()``.
    /// - Returns: Whether it worked. If not, the console is read from as it is.
    func takeOver(wake: Int32) -> Bool

    /// Gets ready to be read from.
    ///
    /// - Returns: Whether the input is the run's: in the background it is not.
    func prepareToRead() -> Bool

    /// Makes what sorts the bytes of one run: it appends to the second argument what is for the guest, and returns
    /// whether the person wants no more of the run.
    func makeSorter() -> (_ byte: UInt8, _ guest: inout ArraySlice<UInt8>) -> Bool

    /// Gives the console back as it was found. On the thread that called the run, when the reading has ended.
    func release()
}

extension ConsoleSource {
    /// The descriptor that is read from.
    var descriptor: Int32 {
        switch self {
        case .stream(let descriptor): descriptor
        case .interactive(let console): console.descriptor
        }
    }

    /// How many bytes may wait for the guest before no more are read.
    ///
    /// For a person it is more than they type or paste while a guest does not listen, for until it is reached the keys
    /// work.
    var capacity: Int {
        switch self {
        case .stream: 1
        case .interactive: 1 << 20
        }
    }
}

/// A device that takes console input for the guest.
package protocol ConsoleReceiver: Sendable {
    /// Whether the guest would take a byte now. If not, the device calls when it would.
    func isReadyToReceive() -> Bool

    /// Gives the guest bytes, and returns how many it took. If that is not all, the device calls when it would take more.
    func receive(_ bytes: ArraySlice<UInt8>) -> Int

    /// Notes that there will be no more.
    func end()

    /// Whether the guest takes bytes when they come, and not when it wants some: then it needs pauses to handle them.
    var needsPauses: Bool { get }
}

extension ConsoleReceiver {
    /// Most devices hold bytes until the guest asks.
    package var needsPauses: Bool { false }
}

extension Serial16550: ConsoleReceiver {
    /// A serial line has no end that a guest would see.
    package func end() { noteEndOfInput() }

    /// Linux takes bytes in its interrupt handler.
    package var needsPauses: Bool { true }
}
