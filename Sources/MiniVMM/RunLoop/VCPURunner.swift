import CKVM
import Counters
import Devices
import Host
package import KVM

/// The run loop of one vCPU: enters the guest, services what it exits for, and books both.
///
/// For the vCPU's own thread, and for the thread that reads the results after that one was joined. Per exit it
/// allocates nothing, takes no lock of its own, and calls through no existential.
// Safe to use: the unmanaged references are those of the recorder that the runner holds.
@safe
package final class VCPURunner: @unchecked Sendable {
    // Sound to call Sendable: one thread uses it at a time. The machine makes it, hands it to the vCPU's thread, and
    // looks at it again after joining that thread.

    package let vcpu: VCPU
    let index: Int
    let machine: MachineParts
    let runLoop: RunLoop
    let counters: ExitCounters
    let responder: CPUIDResponder
    let registers: SynchronizedRegisters
    let unclaimed: UnclaimedAccesses
    /// What is kept of the exits besides the counters, if anything.
    let recorder: ExitRecorder?
    /// The recorder's parts again, by their addresses: to ask for these, and to use them, counts no reference.
    let timeline: Unmanaged<TimelineRecorder>?
    let trace: Unmanaged<TraceRecorder>?
    let places: Unmanaged<PlaceRecorder>?
    /// Whether there is a recorder.
    private let isRecording: Bool

    /// Service time that is not booked yet: what booking the previous exit took.
    private var unbookedCycles: UInt64 = 0
    /// When the exit that is being serviced began.
    var serviceStart: UInt64 = 0
    /// When the guest is entered next, as far as the time is known: the end of the last exit's booking.
    var entry: UInt64 = 0
    /// How the run ended, once an exit has ended it.
    private var ending: RunEnding?
    /// What KVM's debugging is set to for a trap. ``setGuestDebug(_:)`` alone changes it.
    private var guestDebug = VCPU.GuestDebug.off
    /// What a debugger wants of it besides. ``setDebugPlan(_:)`` alone changes it.
    private var debugPlan = VCPU.DebugPlan()

    /// - Throws: `ResourceError` when the system refuses memory.
    init(
        vcpu: VCPU, index: Int, machine: MachineParts, loop: RunLoop
    ) throws(ResourceError) {
        unclaimed = try UnclaimedAccesses()
        self.vcpu = vcpu
        self.index = index
        self.machine = machine
        runLoop = loop
        counters = machine.counters.counters(of: index)
        recorder = unsafe machine.recorders[index]
        unsafe timeline = unsafe recorder?.timeline.map(Unmanaged.passUnretained)
        unsafe trace = unsafe recorder?.trace.map(Unmanaged.passUnretained)
        unsafe places = unsafe recorder?.places.map(Unmanaged.passUnretained)
        isRecording = recorder != nil
        responder = CPUIDResponder(
            vcpu: vcpu, leaves: machine.leaves, numbering: machine.numbering, source: machine.source)
        registers = SynchronizedRegisters(
            vcpu: vcpu, supported: machine.syncRegisters,
            demand: recorder?.places == nil ? loop.wantedRegisters : max(loop.wantedRegisters, .general))
    }

    /// What became of an exit: in a register, and with nothing in it that would have to be copied or released.
    enum Service {
        /// It was the guest's, counted under this kind; its time is still to be booked.
        case booked(ExitKind)
        /// MiniVMM caused it itself.
        case ownDoing
        /// It was the guest's, counted under this kind, and the run is over: ``VCPURunner/ending`` says how.
        case over(ExitKind)
    }

    /// Runs the guest until the run is stopped. What stops it is told to the machine's ``RunControl``.
    func run() {
        machine.control.join(vcpu)
        do throws(CPUPinningError) {
            try machine.pinnedCPUs?.pinThread(ofVCPU: index)
        } catch {
            machine.control.stop(RunEnding.failed(error))
        }
        do throws(KVMError) {
            try runLoop.run(self)
        } catch {
            machine.control.end(RunEnding.failed(error), flushing: machine.console)
        }
        if let screen = machine.screen {
            for byte in screen.look(isLast: true) { machine.console.write(byte) }
        }
        // Where the run was ended from outside. Before this thread can be kicked no more: the reader may not read.
        machine.console.flush()
        machine.control.leave(vcpu)
    }

    /// Books an exit's service time.
    ///
    /// Service time runs up to the next entry, but the booking itself is part of it, and its length is known only
    /// afterwards. So what booking takes is added to the next exit: nothing is lost, and nothing counted twice.
    ///
    /// - Returns: Whether the guest goes on.
    @inline(__always)
    func settle(_ service: Service) -> Bool {
        let end = ckvm_rdtsc()
        switch service {
        case .booked(let kind):
            let cycles = end &- serviceStart &+ unbookedCycles
            var ownCycles = counters.finish(kind, serviceCycles: cycles)
            if _slowPath(isRecording) { ownCycles &+= record(kind, end: end, cycles: cycles) }
            entry = ckvm_rdtsc()
            unbookedCycles = entry &- end &- ownCycles
            return true
        case .ownDoing:
            counters.bookInternal(cycles: end &- serviceStart)
            entry = ckvm_rdtsc()
            return true
        case .over(let kind):
            let cycles = end &- serviceStart &+ unbookedCycles
            counters.finish(kind, serviceCycles: cycles)
            if isRecording { _ = record(kind, end: end, cycles: cycles) }
            if let ending { machine.control.end(ending, flushing: machine.console) }
            return false
        }
    }

    /// What a KVM_RUN that failed means.
    ///
    /// - Returns: Whether to enter the guest again; false when the run is over.
    /// - Throws: `KVMError` for a failure that is no kick.
    func shouldReenter(after result: Int32) throws(KVMError) -> Bool {
        guard result == -EINTR || result == -EAGAIN else { throw .failed("KVM_RUN", result) }
        // In this order: a kick between the two sets immediate_exit again, and the next KVM_RUN returns at once.
        vcpu.clearImmediateExit()
        machine.console.flushIfOverdue()
        // A pause is nobody's time.
        if machine.control.parkWhilePaused(vcpu) { serviceStart = ckvm_rdtsc() }
        return !machine.control.isStopping
    }

    /// Ends the run with the exit that is being serviced.
    func over(_ kind: ExitKind, _ ending: RunEnding) -> Service {
        self.ending = ending
        return .over(kind)
    }

    /// Whether an exit has ended the run by the guest's death.
    var isDying: Bool { if case .died = ending { true } else { false } }

    /// A death at the present state of the vCPU.
    func death(_ cause: GuestDeath.Cause) -> GuestDeath {
        guard let general = try? vcpu.registers(), let special = try? vcpu.specialRegisters() else {
            return GuestDeath(cause: cause, vcpu: index, state: nil)
        }
        // On AMD's processors a triple fault leaves nothing defined, and KVM then resets the vCPU. No guest dies with
        // the registers of a reset: there is no memory at the address that they lead to. Source: AMD APM, volume 2,
        // "Shutdown Intercept"; Linux, arch/x86/kvm/svm/svm.c, shutdown_interception().
        let isReset = special.cs.base == Self.resetSegment && general.rip == Self.resetPointer
        if cause == .tripleFault, isReset { return GuestDeath(cause: cause, vcpu: index, state: nil) }
        return GuestDeath(
            cause: narrowed(cause, general, special), vcpu: index,
            state: VCPUSnapshot(registers: general, special: special, memory: machine.memory))
    }

    /// CS's base and IP after a reset. Source: Intel SDM, volume 3, "Processor state after reset".
    private static let resetSegment: UInt64 = 0xffff_0000
    private static let resetPointer: UInt64 = 0xfff0

    /// What an instruction that KVM cannot emulate comes to when there is none: the guest left its memory.
    private func narrowed(
        _ cause: GuestDeath.Cause, _ general: GeneralRegisters, _ special: SpecialRegisters
    ) -> GuestDeath.Cause {
        guard case .emulationFailure = cause,
            let address = special.pageWalk.translate(
                general.linearInstructionPointer(special), in: machine.memory),
            !machine.memory.contains(address, byteCount: 1)
        else { return cause }
        return .codeOutsideMemory(at: address)
    }

    /// Sets KVM's debugging: breakpoints, single steps, or neither. The one place that does for a trap.
    func setGuestDebug(_ debug: VCPU.GuestDebug) throws(KVMError) {
        guestDebug = debug
        try vcpu.setGuestDebug(debug, debugPlan)
    }

    /// Sets what a debugger wants of KVM's debugging, and leaves what a trap wants as it is.
    func setDebugPlan(_ plan: VCPU.DebugPlan) throws(KVMError) {
        debugPlan = plan
        try vcpu.setGuestDebug(guestDebug, plan)
    }

    /// The first breakpoint that is set, if any is.
    var breakpoint: UInt64? {
        if case .breakpoints(let addresses) = guestDebug { addresses.first } else { nil }
    }

    /// Services an exit that is neither port I/O nor MMIO, and no interceptor's.
    func serviceGuestsOwn(_ exit: Exit) throws(KVMError) -> Service {
        guard case .debug(_, let dr6) = exit else { return serviceRare(exit) }
        // A #DB of the guest's own, which KVM brings out while debug registers are ours: give it back.
        counters.begin(.debug)
        let isBreakpoint = debugPlan.takesSoftwareBreakpoints && vcpu.isBreakpointException
        if !isBreakpoint { try vcpu.addDebugStatus(dr6) }
        try vcpu.injectDebugException(isBreakpoint: isBreakpoint, keeping: guestDebug, debugPlan)
        return .booked(.debug)
    }
}

/// Exits that are kept for a report or a trace.
extension VCPURunner {
    /// Records an exit that was just booked.
    ///
    /// Not inlined, so that a run that keeps nothing pays for a comparison and no more.
    ///
    /// - Parameters:
    ///   - end: When its service ended, as the time-stamp counter said.
    ///   - cycles: The service time that was booked. In a trace it ends at `end` and so starts early by what booking
    ///     the previous exit took, which is part of it. That exit ended earlier still, so exits never overlap.
    /// - Returns: Cycles that are no exit's, and are booked as MiniVMM's own; nearly always 0.
    @inline(never)
    func record(_ kind: ExitKind, end: UInt64, cycles: UInt64) -> UInt64 {
        var ownCycles: UInt64 = 0
        if unsafe trace != nil || places != nil {
            ownCycles = recordEvent(kind, start: end &- cycles, cycles: cycles)
        }
        // Sound: the runner holds on to its recorder, and so to all its parts. `_withUnsafeGuaranteedRef` counts no
        // reference, as on the port bus.
        if let timeline = unsafe timeline {
            unsafe ownCycles &+= timeline._withUnsafeGuaranteedRef { $0.record(kind, at: end) }
        }
        if ownCycles > 0 { counters.bookOwn(cycles: ownCycles) }
        return ownCycles
    }

    /// Records what an exit was about, and where it came from.
    ///
    /// - Returns: As for any recording.
    @inline(never)
    private func recordEvent(_ kind: ExitKind, start: UInt64, cycles: UInt64) -> UInt64 {
        var ownCycles: UInt64 = 0
        let event = event(kind, start: start, cycles: cycles)
        // Sound: as above.
        if let trace = unsafe trace { unsafe ownCycles = trace._withUnsafeGuaranteedRef { $0.record(event) } }
        if let places = unsafe places {
            // The carrier of a CPUID is elsewhere, and the registers have moved on since.
            let address = kind == .cpuid ? responder.lastAddress : registers.instructionPointer
            unsafe places._withUnsafeGuaranteedRef { $0.record(event, at: address) }
        }
        return ownCycles
    }

    /// The exit in the run page as an event.
    @inline(__always)
    private func event(_ kind: ExitKind, start: UInt64, cycles: UInt64) -> TraceEvent {
        var event = TraceEvent(start: start, cycles: cycles)
        event.kindNumber = UInt8(truncatingIfNeeded: kind.rawValue)
        if kind == .cpuid {
            // Its carrier, an OUT or a breakpoint, says nothing of it.
            event.subject = UInt64(responder.lastLeaf)
            event.extra = responder.lastSubleaf
        } else {
            let exit = Exit(of: vcpu)
            // In single-step mode a HLT has no exit of its own.
            if exit.kind == kind { event.describe(exit) }
        }
        return event
    }
}
