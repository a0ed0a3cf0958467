import CKVM
import Synchronization

/// How a run is ended from anywhere: by a device, another vCPU, a timeout, a signal.
///
/// The first who asks decides how the run ended. Every vCPU is kicked out of KVM_RUN: `immediate_exit` catches one
/// that is about to enter, a signal one that is inside. A vCPU clears `immediate_exit` before it looks at
/// ``isStopping``, so no kick is lost.
public final class RunControl: Sendable {
    private struct State {
        var ending: RunEnding?
        var threads: [Running] = []
        /// What wakes the thread that waits for the end.
        var bell: Doorbell?
    }

    /// A vCPU whose thread runs.
    private struct Running: Sendable {
        let vcpu: VCPU
        let thread: pthread_t
    }

    private let state = Locked(State())
    private let stopping = Atomic(false)

    /// Makes the control of one run.
    public init() {}

    /// Whether the run has been ended. Its vCPUs may still be on their way out.
    public var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }

    /// How the run ended, once it has been.
    public var ending: RunEnding? { state.withLock { $0.ending } }

    /// Ends the run. Later calls change nothing.
    public func stop(_ ending: RunEnding) {
        state.withLock { state in
            guard state.ending == nil else { return }
            state.ending = ending
            stopping.store(true, ordering: .sequentiallyConsistent)
            for running in state.threads { Self.kick(running) }
            // A vCPU that ends a run alone is on its way to say so.
            if state.threads.contains(where: { pthread_equal($0.thread, pthread_self()) == 0 }) { state.bell?.ring() }
        }
    }

    /// Ends the run on behalf of the guest, on its vCPU's thread: what it has written comes out first.
    func end(_ ending: RunEnding, flushing console: ConsoleOutput) {
        console.flush()
        stop(ending)
    }

    /// Rings a bell when the run is ended, now if it has been.
    func ring(_ bell: Doorbell) {
        state.withLock { state in
            state.bell = bell
            if state.ending != nil { bell.ring() }
        }
    }

    /// Kicks the vCPUs that have not ended yet once more.
    func kick() {
        state.withLock { state in
            for running in state.threads { Self.kick(running) }
        }
    }

    /// Kicks one vCPU, so that its thread looks around.
    func kickOne() {
        state.withLock { state in
            if let running = state.threads.first { Self.kick(running) }
        }
    }

    /// Notes that a vCPU's thread runs, so that it can be kicked. Called on that thread, before it enters the guest.
    func join(_ vcpu: VCPU) {
        state.withLock { state in
            state.threads.append(Running(vcpu: vcpu, thread: pthread_self()))
            if state.ending != nil { vcpu.requestImmediateExit() }
        }
    }

    /// Notes that a vCPU's thread is about to end, after which it must not be kicked. Called on that thread.
    func leave(_ vcpu: VCPU) {
        state.withLock { state in state.threads.removeAll { $0.vcpu === vcpu } }
    }

    private static func kick(_ running: Running) {
        running.vcpu.requestImmediateExit()
        // Sound: the thread takes itself off the list, under the same lock, before it ends. The signal cannot fail
        // otherwise, and a thread that kicks itself is out of KVM_RUN already.
        _ = ckvm_kick(running.thread)
    }
}
