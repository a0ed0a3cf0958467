import Host
package import KVM

/// What a debugger has vCPUs do, and where they have stopped for it: the one place where its thread and theirs meet.
///
/// A vCPU that has reached what it was to stop at asks ``RunControl`` for a pause of all, and parks before it enters the
/// guest again. The debugger gives new orders only while all are parked, and every vCPU reads its orders when it goes on.
/// So a machine that has such a control runs like any other until somebody uses it.
package final class DebugControl: Sendable {
    /// What a vCPU does when the machine goes on.
    package enum Motion: Hashable, Sendable {
        /// It stays where it is.
        case held
        /// It runs.
        case running
        /// It executes one instruction, and stops the machine.
        case stepping
    }

    /// What all vCPUs stop at.
    package struct Points: Hashable, Sendable {
        /// What the debug registers watch, four at most.
        package var registers: [DebugPoint] = []
        /// Breakpoints that need a step after every instruction, because there is no register for them: linear addresses.
        package var steppedBreakpoints: Set<UInt64> = []
        /// Memory whose changes are found by a step after every instruction.
        package var steppedWatches: [DebugPoint] = []
        /// The linear addresses at which an INT3 was put in the guest's memory.
        package var softwareBreakpoints: Set<UInt64> = []

        /// The linear addresses at which ``patch`` was put in the guest's memory.
        package var patches: Set<UInt64> = []

        /// OUT imm8, AL, to a port that no PC device has: what stands for a breakpoint where neither debug registers nor
        /// INT3 stop a guest. It stops one in ring 0 in every mode.
        package static let patch: [UInt8] = [SiteTrap.outImmediate, patchPort]
        /// None of those that CPUID traps use.
        static let patchPort: UInt8 = 0xbf

        /// None.
        package init() {}

        /// Whether they need a step after every instruction.
        var needSteps: Bool { !steppedBreakpoints.isEmpty || !steppedWatches.isEmpty }
    }

    /// Why a vCPU has stopped.
    package enum Reason: Hashable, Sendable {
        /// It has executed the one instruction that it was to.
        case step
        /// It is at a breakpoint, which has this linear address.
        case breakpoint(UInt64)
        /// It has accessed what this point watches.
        case watch(DebugPoint)
        /// Its guest has died. When it goes on, the run is over.
        case death
    }

    /// A vCPU that has stopped.
    package struct Stop: Hashable, Sendable {
        /// The number of the vCPU.
        package let vcpu: Int
        /// Why.
        package let reason: Reason

        /// A stop.
        package init(vcpu: Int, reason: Reason) {
            self.vcpu = vcpu
            self.reason = reason
        }
    }

    /// What a vCPU is told.
    struct Orders: Sendable {
        var motion = Motion.running
        var points = Points()
        /// Whether a debugger is there, which is told of a death before the run is over.
        var isWatched = false
        /// Counted up with every order.
        var number = 0
    }

    private struct State {
        var motions: [Motion] = []
        var points = Points()
        var isWatched = false
        var number = 0
        var stops: [Stop] = []
        /// Whether this control holds a pause.
        var isHolding = false
        var run: RunControl?
        var vcpuCount = 0
    }

    private let state = Locked(State())
    /// Rung when a vCPU has stopped.
    package let bell: Doorbell

    /// A control that lets everything run.
    ///
    /// - Throws: `ResourceError` when the system refuses a descriptor.
    package init() throws(ResourceError) {
        bell = try Doorbell()
    }

    /// Connects it with the run of a machine.
    func connect(to run: RunControl, vcpuCount: Int) {
        state.withLock { state in
            state.run = run
            state.vcpuCount = vcpuCount
            if state.isHolding { run.askForPause() }
        }
    }

    // MARK: For the vCPUs' threads

    /// What a vCPU is to do.
    func orders(of vcpu: Int) -> Orders {
        state.withLock { state in
            Orders(
                motion: state.motions.indices.contains(vcpu) ? state.motions[vcpu] : .running, points: state.points,
                isWatched: state.isWatched, number: state.number)
        }
    }

    /// Stops the machine: the vCPU parks when its exit has been booked, and the others as soon as they can.
    func stop(_ stop: Stop) {
        state.withLock { state in
            state.stops.append(stop)
            guard !state.isHolding else { return }
            state.isHolding = true
            state.run?.askForPause()
        }
        bell.ring()
    }

    // MARK: For the debugger's thread

    /// Holds the machine, now or as soon as there is one: it stops before its first instruction.
    package func holdFromTheStart() {
        state.withLock { $0.isHolding = true }
    }

    /// Holds the machine, and waits until all vCPUs are parked.
    ///
    /// - Returns: Whether they are; false when the run has ended, or ends.
    package func pause() -> Bool {
        let (run, count) = state.withLock { state in
            if !state.isHolding {
                state.isHolding = true
                state.run?.askForPause()
            }
            return (state.run, state.vcpuCount)
        }
        return run?.waitUntilParked(before: nil, count: count) ?? false
    }

    /// Sees to it that nobody waits for a machine that does not run any more, or never did.
    package func endRun() {
        state.withLock { $0.run }?.stop(.stopped)
    }

    /// Takes the oldest stop that has not been taken.
    package func takeStop() -> Stop? {
        state.withLock { $0.stops.isEmpty ? nil : $0.stops.removeFirst() }
    }

    /// Lets the machine go on. Only while all vCPUs are parked.
    ///
    /// - Parameters:
    ///   - motions: What each vCPU does.
    ///   - points: What they stop at.
    ///   - isWatched: Whether the debugger stays.
    package func resume(_ motions: [Motion], at points: Points, isWatched: Bool) {
        state.withLock { state in
            state.isWatched = isWatched
            state.motions = motions
            state.points = points
            state.number &+= 1
            state.stops = []
            guard state.isHolding else { return }
            state.isHolding = false
            let held = motions.indices.filter { motions[$0] == .held }
            state.run?.resume(holding: Set(held.map { UInt32($0) }))
        }
    }
}
