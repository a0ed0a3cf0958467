import CKVM
public import Counters
import Devices
import Host
package import KVM
import Synchronization

/// How a run is ended or paused from anywhere: by a device, another vCPU, a timeout, a signal, a debugger.
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
        var panicWatch: PanicWatch?
        /// The vCPUs of a run that has been started whose threads are not on the list yet.
        var missingCount = 0
        /// How many ask for a pause.
        var pauses = 0
        /// The vCPUs that are out of KVM_RUN because of a pause.
        var parkedCount = 0
        /// The ids of vCPUs that stay there when the others go on.
        var held: Set<UInt32> = []
    }

    /// A vCPU whose thread runs.
    private struct Running: Sendable {
        let vcpu: VCPU
        let thread: pthread_t
    }

    private let state = Locked(State())
    private let stopping = Atomic(false)
    private let pausing = Atomic(false)
    /// What parked vCPUs, and those who wait for them to be parked, sleep on. It is rung at every change.
    private let change = ConditionSignal()

    /// Makes the control of one run.
    public init() {}

    /// Whether the run has been ended. Its vCPUs may still be on their way out.
    public var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }

    /// How the run ended, once it has been.
    public var ending: RunEnding? { state.withLock { $0.ending } }

    /// Ends the run. Later calls change nothing.
    public func stop(_ ending: RunEnding) {
        state.withLock { stop(ending, &$0) }
    }

    private func stop(_ ending: RunEnding, _ state: inout State) {
        guard state.ending == nil else { return }
        state.ending = ending
        stopping.store(true, ordering: .sequentiallyConsistent)
        change.notifyAll()
        for running in state.threads { Self.kick(running) }
        // A vCPU that ends a run alone is on its way to say so.
        if state.threads.contains(where: { pthread_equal($0.thread, pthread_self()) == 0 }) { state.bell?.ring() }
    }

    /// Ends the run on behalf of the guest, on its vCPU's thread: what it has written comes out first.
    func end(_ ending: RunEnding, flushing console: ConsoleOutput) {
        console.flush()
        stop(ending)
    }

    /// Ends the run with what a component says, on its vCPU's thread: what the guest has written comes out first.
    func end(_ event: MachineEvent, flushing console: ConsoleOutput) {
        let ending: RunEnding =
            switch event {
            case .exit(let status): .exitPort(status)
            case .powerOff: .poweredOff
            case .reset: resetEnding
            case .panicked: .panicked
            case .programExited(let status): .programExited(status)
            case .programKilled(let signal): .programKilled(signal)
            case .failed(let error): .failed(error)
            }
        end(ending, flushing: console)
    }

    /// What a reset means: the end of a panic, or a reboot.
    var resetEnding: RunEnding {
        state.withLock { $0.panicWatch?.hasPanicked ?? false } ? .panicked : .reset
    }

    /// Tells a reset after a panic from a reboot by what a console has seen.
    func watch(_ panicWatch: PanicWatch) {
        state.withLock { $0.panicWatch = panicWatch }
    }

    /// Rings a bell when the run is ended, now if it has been.
    func ring(_ bell: Doorbell) {
        state.withLock { state in
            state.bell = bell
            if state.ending != nil { bell.ring() }
        }
    }

    /// Rings the bell of the thread that waits for the run's end, which then looks when it has something to do.
    func ringBell() {
        state.withLock { $0.bell?.ring() }
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

    /// Notes that the threads of a number of vCPUs are about to be started.
    func expect(_ count: Int) {
        state.withLock { $0.missingCount += count }
    }

    /// Notes that a vCPU's thread runs, so that it can be kicked. Called on that thread, before it enters the guest.
    package func join(_ vcpu: VCPU) {
        state.withLock { state in
            if state.missingCount > 0 { state.missingCount -= 1 }
            state.threads.append(Running(vcpu: vcpu, thread: pthread_self()))
            if state.ending != nil || state.pauses > 0 { vcpu.requestImmediateExit() }
        }
    }

    /// Notes that a vCPU's thread is about to end, after which it must not be kicked. Called on that thread.
    package func leave(_ vcpu: VCPU) {
        state.withLock { state in state.threads.removeAll { $0.vcpu === vcpu } }
        change.notifyAll()
    }

    // MARK: Pausing

    /// Stops all vCPUs outside KVM_RUN and waits until they are: from then on the counters are exact, and registers and
    /// memory stay as they are. Pauses add up: the run goes on when each was resumed.
    ///
    /// Exits that have begun are serviced first. A guest whose console nobody reads is paused when it has been read.
    /// Not to be called on a vCPU's thread, nor while holding what a device needs.
    ///
    /// - Returns: Whether the run is paused; false when it has ended, or ends.
    @discardableResult
    public func pause() -> Bool {
        askForPause()
        return waitUntilParked(before: nil)
    }

    /// The first half of ``pause()``, which waits for nobody: for vCPUs' threads too, which park before they enter the
    /// guest again.
    package func askForPause() {
        state.withLock { askForPause(&$0) }
    }

    private func askForPause(_ state: inout State) {
        state.pauses += 1
        pausing.store(true, ordering: .sequentiallyConsistent)
        for running in state.threads { Self.kick(running) }
    }

    /// The second half of ``pause()``.
    ///
    /// - Parameters:
    ///   - deadline: Until when at most; nil for as long as it takes.
    ///   - count: How many vCPUs there have to be: a run that has not been started has none yet.
    /// - Returns: Whether all vCPUs are parked; false when the run ends, or the time is up.
    package func waitUntilParked(before deadline: ContinuousClock.Instant?, count: Int = 0) -> Bool {
        while true {
            let ticket = change.ticket
            let (isParked, isRunning) = state.withLock { state in
                (
                    state.missingCount == 0 && state.parkedCount == state.threads.count && state.parkedCount >= count,
                    state.ending == nil
                )
            }
            guard isRunning else { return false }
            if isParked { return true }
            if let deadline, deadline <= .now { return false }
            // A kick that comes just before a vCPU waits for a console's reader does not end that wait.
            if !change.wait(after: ticket, timeout: Self.timeBetweenKicks) { kick() }
        }
    }

    /// Pauses the run for a look at its vCPUs, and ends it if they are found to be at an end.
    ///
    /// What somebody else has paused, or pauses meanwhile, goes on as it is: a debugger may change what was found.
    ///
    /// - Parameters:
    ///   - ending: How the run ends then.
    ///   - patience: How long to wait at most for the vCPUs to be out of KVM_RUN.
    ///   - areAtEnd: Looks at all vCPUs of the run while they are paused.
    func stop(_ ending: RunEnding, within patience: Duration, if areAtEnd: ([VCPU]) -> Bool) {
        let isPausing = state.withLock { state in
            guard state.pauses == 0, state.ending == nil else { return false }
            askForPause(&state)
            return true
        }
        guard isPausing else { return }
        defer { resume() }
        guard waitUntilParked(before: .now + patience) else { return }
        guard areAtEnd(state.withLock { $0.threads.map(\.vcpu) }) else { return }
        state.withLock { state in
            if state.pauses == 1 { stop(ending, &state) }
        }
    }

    /// Takes one ``pause()`` back.
    public func resume() {
        resume(holding: nil)
    }

    /// Takes one ``pause()`` back.
    ///
    /// - Parameter held: The ids of the vCPUs that stay out of KVM_RUN all the same, until it is said otherwise; nil for
    ///   those that do so already.
    package func resume(holding held: Set<UInt32>?) {
        state.withLock { state in
            if let held { state.held = held }
            guard state.pauses > 0 else { return }
            state.pauses -= 1
            if state.pauses == 0 { pausing.store(false, ordering: .sequentiallyConsistent) }
        }
        change.notifyAll()
    }

    /// Keeps the calling vCPU's thread here while the run is paused. Called outside KVM_RUN, after
    /// `immediate_exit` was cleared: a pause that comes later kicks again.
    ///
    /// - Returns: Whether it was kept.
    @inline(__always)
    func parkWhilePaused(_ vcpu: VCPU) -> Bool {
        guard pausing.load(ordering: .sequentiallyConsistent) else { return false }
        park(vcpu)
        return true
    }

    @inline(never)
    private func park(_ vcpu: VCPU) {
        state.withLock { $0.parkedCount += 1 }
        change.notifyAll()
        while true {
            let ticket = change.ticket
            let goesOn = state.withLock { state in
                guard state.pauses == 0 && !state.held.contains(vcpu.id) || state.ending != nil else { return false }
                state.parkedCount -= 1
                return true
            }
            if goesOn { return }
            _ = change.wait(after: ticket, timeout: nil)
        }
    }

    static let timeBetweenKicks = Duration.milliseconds(10)

    private static func kick(_ running: Running) {
        running.vcpu.requestImmediateExit()
        // Sound: the thread takes itself off the list, under the same lock, before it ends. The signal cannot fail
        // otherwise, and a thread that kicks itself is out of KVM_RUN already.
        _ = ckvm_kick(running.thread)
    }
}

/// What the thread that started a run does until the vCPUs' threads have ended: it ends the run when the time is up,
/// kicks vCPUs that have not noticed that it is over, starts to feed the console when the guest asks for input, and sees to
/// it that the console keeps nothing back.
struct RunSupervisor {
    let control: RunControl
    let console: ConsoleOutput
    let allEnded: EndSignal
    /// Finds out that the guest has halted for good, where HLT does not say so itself.
    var haltWatch: HaltWatch?
    /// What feeds the console from when the guest asks for input.
    var feeding: ConsoleInput?
    /// The timer's interrupt of a flat guest, for which its vCPU is kicked.
    var ticks: TimerTicks?
    /// When the next kick for it is due.
    var nextTick: ContinuousClock.Instant?

    /// Blocks until all threads have given the signal.
    ///
    /// - Parameter timeout: How long the run may take; nil for as long as it likes.
    mutating func wait(timeout: Duration?) {
        let deadline = timeout.map { ContinuousClock.now + max($0, .zero) }
        control.ring(allEnded.bell)
        while !allEnded.isGiven {
            // A kick that comes just before a thread waits for a console's reader does not end that wait.
            nextTick = ticks?.timeToKick.map { .now + .nanoseconds($0) }
            let next =
                control.isStopping
                ? .now + RunControl.timeBetweenKicks
                : Self.earlier(Self.earlier(deadline, haltWatch?.nextLook), nextTick)
            let input = feeding?.firstRing?.descriptor ?? -1
            switch allEnded.bell.wait(until: next, or: console.timerDescriptor, or: input) {
            case .ringing: allEnded.bell.silence()
            case .otherReadable: if console.timerHasExpired() { control.kickOne() }
            case .thirdReady: startFeeding()
            case .timeIsUp: timeIsUp(deadline)
            }
        }
    }

    private mutating func startFeeding() {
        do throws(ResourceError) {
            try feeding?.start()
        } catch {
            feeding = nil
            control.stop(.failed(error))
        }
    }

    private static func earlier(
        _ one: ContinuousClock.Instant?, _ other: ContinuousClock.Instant?
    ) -> ContinuousClock.Instant? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }

    private func timeIsUp(_ deadline: ContinuousClock.Instant?) {
        if control.isStopping {
            control.kick()
        } else if let deadline, deadline <= .now {
            control.stop(.timeout)
        } else if let nextTick, nextTick <= .now {
            control.kickOne()
        } else {
            haltWatch?.look()
        }
    }
}
