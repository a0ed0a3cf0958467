import Boot
import CKVM
import Counters
import KVM
import Memory

/// A debugger's part in the exits of a vCPU. It comes second to a trap, or to what else is inside.
///
/// While nobody debugs, an exit costs it a comparison. All that it causes, steps and breakpoints, is booked as MiniVMM's
/// own doing.
final class Debugged<Inner: ExitInterceptor>: ExitInterceptor {
    private static var patchPort: UInt16 { UInt16(DebugControl.Points.patchPort) }

    private let inner: Inner
    private let control: DebugControl
    private var orders = DebugControl.Orders()
    /// Whether there is an exit after every instruction: for a step that was asked for, or for what has no register.
    private var isStepping = false
    /// Whether the next instruction is executed whatever breakpoint stands at it: the guest was stopped there before.
    private var isPassing = false
    /// Whether an instruction with an exit of its own is being finished, after which there is no step's exit.
    private var isFinishing = false
    /// Whether this vCPU has stopped, and parks before it enters the guest again.
    private var hasStopped = false
    /// The linear address after the HLT that is the next instruction, if it is one.
    private var haltEnd: UInt64?
    /// What the watched memory held.
    private var watched: [[UInt8]] = []

    init(_ inner: Inner, _ control: DebugControl) {
        self.inner = inner
        self.control = control
    }

    var wantedRegisters: SynchronizedRegisters.Demand { max(inner.wantedRegisters, .general) }

    func start(_ runner: VCPURunner) throws(KVMError) {
        try inner.start(runner)
    }

    @inline(__always)
    func portOut(_ access: PortAccess, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        if let serviced = try inner.portOut(access, runner) { return stopAtDeath(serviced, runner) }
        return access.port == Self.patchPort ? try servicePatch(runner) : nil
    }

    func rare(_ exit: Exit, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        if let serviced = try inner.rare(exit, runner) { return stopAtDeath(serviced, runner) }
        guard orders.number != 0 else { return nil }
        guard case .debug(let pc, let dr6) = exit else {
            return stopAtDeath(try runner.serviceGuestsOwn(exit), runner)
        }
        if runner.vcpu.isBreakpointException {
            guard orders.points.softwareBreakpoints.contains(pc) else { return nil }
            stop(.breakpoint(pc), runner)
            return .ownDoing
        }
        let hit = point(hitBy: dr6)
        // A step over a HLT is the guest's exit in the first place.
        if dr6 & DebugRegisters.singleStep != 0, isStepping {
            if let serviced = try stepOverHalt(pc: pc, runner) { return serviced }
            try stepped(to: pc, hit: hit, runner)
            return .ownDoing
        }
        guard let hit else { return nil }
        stop(hit.access == .execute ? .breakpoint(pc) : .watch(hit), runner)
        return .ownDoing
    }

    @inline(__always)
    func follow(_ runner: VCPURunner) throws(KVMError) { try inner.follow(runner) }

    func proceed(after exit: Exit, _ runner: VCPURunner) throws(KVMError) -> Bool {
        guard try inner.proceed(after: exit, runner) else { return false }
        guard isStepping, !hasStopped else { return true }
        if case .debug = exit {
            try arm(runner)
        } else {
            // A step over an instruction that exits is reported as that exit alone. The next KVM_RUN finishes the
            // instruction and returns, and then it is looked at what has come of it.
            isFinishing = true
            runner.vcpu.requestImmediateExit()
        }
        runner.entry = ckvm_rdtsc()
        return true
    }

    func resume(_ runner: VCPURunner) throws(KVMError) {
        try inner.resume(runner)
        let current = control.orders(of: runner.index)
        if current.number != orders.number {
            orders = current
            hasStopped = false
            isFinishing = false
            let general = try runner.registers.general()
            isPassing = isBreakpoint(general.linearInstructionPointer(try runner.registers.special()))
            watched = orders.points.steppedWatches.map { contents(of: $0, runner) }
        } else if isFinishing {
            isFinishing = false
            let general = try runner.registers.general()
            try stepped(to: general.linearInstructionPointer(try runner.registers.special()), hit: nil, runner)
        }
        guard orders.number != 0, !hasStopped else { return }
        try arm(runner)
    }

    /// Services an OUT that stands for a breakpoint, if it does.
    @inline(never)
    private func servicePatch(_ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        guard !orders.points.patches.isEmpty else { return nil }
        let special = try runner.vcpu.specialRegisters()
        var general = try runner.vcpu.registers()
        let linear = general.linearInstructionPointer(special)
        let length = UInt64(DebugControl.Points.patch.count)
        // RIP is after it when KVM's emulator ran it, else at it.
        let isAfter = !orders.points.patches.contains(linear)
        let site = isAfter ? linear &- length : linear
        guard orders.points.patches.contains(site) else { return nil }
        if isAfter { general.rip = general.rip &- length }
        // KVM would skip the OUT at the next entry. It may take a kick along with it, so there is another.
        try runner.vcpu.finishInstruction()
        runner.vcpu.requestImmediateExit()
        try runner.registers.setGeneralNow(general)
        stop(.breakpoint(site), runner)
        return .ownDoing
    }

    /// Keeps a guest that has died until the debugger has looked at it.
    @inline(__always)
    private func stopAtDeath(_ serviced: VCPURunner.Service, _ runner: VCPURunner) -> VCPURunner.Service {
        if case .over = serviced, runner.isDying, orders.isWatched { keepDead(runner) }
        return serviced
    }

    @inline(never)
    private func keepDead(_ runner: VCPURunner) {
        hasStopped = false
        stop(.death, runner)
        _ = runner.machine.control.parkWhilePaused(runner.vcpu)
        // A pause is nobody's time.
        runner.serviceStart = ckvm_rdtsc()
    }

    // MARK: Stopping

    private func stop(_ reason: DebugControl.Reason, _ runner: VCPURunner) {
        guard !hasStopped else { return }
        hasStopped = true
        control.stop(DebugControl.Stop(vcpu: runner.index, reason: reason))
    }

    /// The point that DR6 says was hit, a watchpoint before a breakpoint.
    private func point(hitBy dr6: UInt64) -> DebugPoint? {
        let hits = armed.enumerated().filter { dr6 & DebugRegisters.hits & 1 << UInt64($0.offset) != 0 }.map(\.element)
        return hits.first { $0.access != .execute } ?? hits.first
    }

    /// What the debug registers are set to.
    private var armed: [DebugPoint] {
        isPassing ? orders.points.registers.filter { $0.access != .execute } : orders.points.registers
    }

    private func isBreakpoint(_ address: UInt64) -> Bool {
        orders.points.steppedBreakpoints.contains(address)
            || orders.points.registers.contains { $0.access == .execute && $0.address == address }
    }

    /// An instruction has been executed, and the next is at the given linear address.
    private func stepped(to pc: UInt64, hit: DebugPoint?, _ runner: VCPURunner) throws(KVMError) {
        isFinishing = false
        isPassing = false
        if let hit, hit.access != .execute { return stop(.watch(hit), runner) }
        for (index, watch) in orders.points.steppedWatches.enumerated()
        where contents(of: watch, runner) != watched[index] {
            return stop(.watch(watch), runner)
        }
        if orders.motion == .stepping { return stop(.step, runner) }
        // One in a debug register fires by itself, before the instruction.
        if orders.points.steppedBreakpoints.contains(pc) { stop(.breakpoint(pc), runner) }
    }

    private func contents(of point: DebugPoint, _ runner: VCPURunner) -> [UInt8] {
        guard let walk = try? runner.registers.special().pageWalk else { return [] }
        return walk.bytes(at: point.address, count: Int(truncatingIfNeeded: point.length), in: runner.machine.memory)
    }

    // MARK: Setting out

    /// Sets out for what the orders say.
    private func arm(_ runner: VCPURunner) throws(KVMError) {
        isStepping = orders.motion == .stepping || orders.points.needSteps || isPassing
        var plan = VCPU.DebugPlan()
        plan.isStepping = isStepping
        plan.takesSoftwareBreakpoints = !orders.points.softwareBreakpoints.isEmpty
        plan.points = armed
        // An instruction that KVM emulates loses the trap flag, so this is said before each step.
        try runner.setDebugPlan(plan)
        haltEnd = isStepping ? try endOfHalt(runner) : nil
        // A step looks at them, and without them asks KVM each time.
        if inner.wantedRegisters != .all { try runner.registers.wantSpecial(isStepping) }
    }

    /// The linear address after the next instruction, if that is a HLT.
    private func endOfHalt(_ runner: VCPURunner) throws(KVMError) -> UInt64? {
        let special = try runner.registers.special()
        let linear = try runner.registers.general().linearInstructionPointer(special)
        let window = InstructionWindow(at: linear, walk: special.pageWalk, memory: runner.machine.memory)
        let prefixes = window.prefixCount(is64Bit: special.isCode64Bit)
        return window[prefixes] == 0xf4 ? linear &+ UInt64(prefixes) &+ 1 : nil
    }

    /// Services a HLT that a step led over. Where KVM's emulator ran it, the step is reported and the HLT is not.
    ///
    /// - Returns: nil when there is nothing more to service.
    private func stepOverHalt(pc: UInt64, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        defer { haltEnd = nil }
        guard pc == haltEnd else { return nil }
        guard runner.machine.hasInterruptControllers else { return runner.serviceRare(.hlt) }
        try runner.vcpu.halt()
        return nil
    }
}
