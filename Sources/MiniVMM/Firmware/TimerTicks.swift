import Boot
import CKVM
import Counters
import Devices
import Host
import KVM
import Memory
import Synchronization

/// The interrupts of the timer and of the clock for flat guests with one vCPU, in whose machines KVM has neither these nor
/// interrupt controllers: IRQ 0, at vector 8 and 18.2 times a second until the guest says otherwise, and IRQ 8, at vector
/// 0x70 as the guest enables it.
///
/// They begin when the guest sets the timer, the clock's interrupts or an interrupt controller, or halts with a handler of
/// its own for the timer's. From then on the thread that waits for the run's end kicks the vCPU when one is due; before,
/// nothing is different from a machine without them. What they cause, kicks and windows for interrupts, is no exit of the
/// guest's.
final class TimerTicks: Sendable {
    private let ticks: TickSwitch
    private let timer: IntervalTimer
    private let clock: CMOSClock?
    private let controllers: CascadedControllers
    private let memory: GuestMemory
    /// Until when the timer's interrupts were taken.
    private let lastLook = Atomic<UInt64>(0)

    /// The lines of the timer and of the clock.
    private static let line: UInt8 = 0
    private static let clockLine: UInt8 = 8
    /// However fast the timer is set, kicks are no closer: nanoseconds.
    private static let shortestInterval: UInt64 = 200_000
    /// How long a vCPU that is halted sleeps at most before it looks whether the run ends: nanoseconds.
    private static let longestSleep: UInt64 = 10_000_000

    /// Nil where the machine has no timer of its own.
    init?(_ attachments: Attachments, _ memory: GuestMemory, _ control: RunControl) {
        guard let timer = attachments.timer, let controllers = attachments.interruptControllers else { return nil }
        ticks = attachments.machine.ticks
        self.timer = timer
        clock = attachments.clock
        self.controllers = controllers
        self.memory = memory
        ticks.connect(
            whenTurnedOn: { [weak self] in self?.begin() }, whenChanged: { [weak control] in control?.ringBell() })
    }

    private func begin() {
        lastLook.store(timer.time, ordering: .relaxed)
        // The guest's memory has had room for the stubs.
        try? FirmwareStubs.writeTickHandlers(to: memory)
    }

    /// Whether the guest uses them.
    var isOn: Bool { ticks.isOn }

    /// In how many nanoseconds the vCPU is to be kicked next; nil for not before something changes.
    var timeToKick: UInt64? {
        guard isOn else { return nil }
        return timeToInterrupt(after: timer.time).map { max($0, Self.shortestInterval) }
    }

    /// In how many nanoseconds one of the two comes; nil for not before something changes.
    ///
    /// - Parameter look: Until when the timer's were taken.
    private func timeToInterrupt(after look: UInt64) -> UInt64? {
        let now = timer.time
        let tick = timer.nextInterrupt(after: look).map { $0 > now ? $0 &- now : 0 }
        guard let clock, clock.isArmed, let other = clock.timeToInterrupt else { return tick }
        return min(tick ?? other, other)
    }

    /// Delivers the interrupt that is due, or sees to it that there is an exit when the guest can take it. On the vCPU's thread,
    /// outside KVM_RUN.
    ///
    /// - Returns: Whether one was delivered.
    @discardableResult
    func deliver(_ vcpu: VCPU) throws(KVMError) -> Bool {
        let now = timer.time
        let last = lastLook.exchange(now, ordering: .relaxed)
        if let next = timer.nextInterrupt(after: last), next <= now { controllers.raise(Self.line) }
        if let clock, clock.isArmed, clock.takeInterrupt() { controllers.raise(Self.clockLine) }
        let isPending = controllers.isPending
        vcpu.wantInterruptWindow(isPending && !vcpu.isReadyForInterrupt)
        guard isPending, vcpu.isReadyForInterrupt, let vector = controllers.acknowledge() else { return false }
        try vcpu.interrupt(vector)
        return true
    }

    /// Whether an interrupt can wake a guest that has halted.
    private func canWake(_ vcpu: VCPU) -> Bool {
        guard vcpu.acceptsInterrupts else { return false }
        if let clock, clock.isArmed, controllers.admits(Self.clockLine) { return true }
        guard controllers.admits(Self.line) else { return false }
        return isOn || FirmwareStubs.hasOwnTickHandler(controllers.vector(of: Self.line), in: memory)
    }

    /// Waits, on the thread of a vCPU that has executed HLT, until an interrupt is due, and delivers it.
    ///
    /// - Returns: Whether the guest goes on; false when none can wake it.
    func waitAtHalt(_ runner: VCPURunner) throws(KVMError) -> Bool {
        guard canWake(runner.vcpu) else { return false }
        ticks.turnOn()
        runner.machine.console.flush()
        while !runner.machine.control.isStopping {
            // What is pending and cannot be delivered, KVM keeps back for a reason of its own: it is to run on.
            if try deliver(runner.vcpu) || controllers.isPending { break }
            guard let wait = timeToInterrupt(after: lastLook.load(ordering: .relaxed)) else { return false }
            // A debugger may have given orders meanwhile, which are read after a KVM_RUN without an exit.
            if runner.machine.control.parkWhilePaused(runner.vcpu) { runner.vcpu.requestImmediateExit() }
            if wait > 0 { _ = ckvm_poll(nil, 0, 0, Int64(min(wait, Self.longestSleep))) }
        }
        return true
    }
}
