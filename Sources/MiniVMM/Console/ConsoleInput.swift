import CKVM
import Synchronization

/// The way from a descriptor to the guest's console: a thread that reads and feeds, while a run lasts.
///
/// Nothing is lost and nothing spins: while the guest has no room, the thread sleeps until the bell rings. When the
/// input ends, the guest gets no more; a run goes on without.
final class ConsoleInput: Sendable {
    private final class Ending: Sendable {
        let isRequested = Atomic(false)
    }

    private let ending = Ending()
    private let bell: Doorbell
    private let hasEnded: EndSignal
    private let thread: PosixThread
    /// Whether there is a terminal to give back.
    private let hasTerminal: Bool

    /// How long a thread that is to end may take before it is interrupted, and interrupted again.
    private static let patience = Duration.milliseconds(20)

    /// Starts to feed the guest. A terminal is taken over.
    ///
    /// - Parameters:
    ///   - source: Where the input comes from.
    ///   - receiver: The device that takes it.
    ///   - bell: What the device rings when it has turned bytes away and would take more. It is this object's alone.
    ///   - read: How the descriptor is read from.
    /// - Throws: ``KVMError/outOfResources(name:_:)`` when the system refuses a thread or a descriptor.
    init(
        _ source: ConsoleSource,
        to receiver: any ConsoleReceiver,
        bell: Doorbell,
        read: @escaping ConsoleFeeder.Read = { ckvm_read($0, $1.baseAddress, $1.count) }
    ) throws(KVMError) {
        let handler = ckvm_install_kick_handler()
        guard handler >= 0 else { throw .failed("sigaction", handler) }
        let hasEnded = try EndSignal(count: 1)
        let hasTerminal =
            if case .terminal(let terminal, _) = source { terminal.takeOver(wakingBy: bell) } else { false }
        if hasTerminal { Terminal.makeRaw() }
        let ending = ending
        do {
            thread = try PosixThread(name: "console input") {
                Self.refuseStop()
                var feeder = ConsoleFeeder(source, to: receiver, bell: bell, read: read)
                feeder.run { ending.isRequested.load(ordering: .acquiring) }
                hasEnded.give()
            }
        } catch {
            if hasTerminal { Terminal.release() }
            throw error
        }
        self.bell = bell
        self.hasEnded = hasEnded
        self.hasTerminal = hasTerminal
    }

    /// Asks the thread to end, and does not wait for it.
    func requestEnd() {
        ending.isRequested.store(true, ordering: .releasing)
        bell.ring()
    }

    /// Ends the feeding, waits until the thread is gone, and gives the terminal back. Once, when the vCPUs have stopped.
    func end() {
        requestEnd()
        // Somebody else may have read what poll(2) announced, and the thread be stuck in read(2). A kick that comes just
        // before read(2) has no effect, so there may have to be more than one.
        while !hasEnded.wait(timeout: Self.patience) { thread.kick() }
        thread.join()
        if hasTerminal { Terminal.release() }
    }

    /// With SIGTTIN blocked, reading a terminal in the background is an error, and does not stop the whole process.
    private static func refuseStop() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTTIN)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }
}
