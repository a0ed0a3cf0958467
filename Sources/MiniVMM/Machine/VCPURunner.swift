import CKVM

/// The run loop of one vCPU: enters the guest, services what it exits for, and books both.
///
/// For the vCPU's own thread, and for the thread that reads the results after that one was joined. Per exit it
/// allocates nothing, takes no lock of its own, and calls through no existential.
final class VCPURunner: @unchecked Sendable {
    // Sound to call Sendable: one thread uses it at a time. The machine makes it, hands it to the vCPU's thread, and
    // looks at it again after joining that thread.

    let vcpu: VCPU
    let index: Int
    let machine: MachineParts
    let trap: SiteTrap
    let faultTrap: FaultTrap?
    let counters: ExitCounters
    let responder: CPUIDResponder
    let registers: VCPURegisters
    let unclaimed = UnclaimedAccesses()
    /// What is kept of the exits besides the counters, if anything.
    let recorder: ExitRecorder?
    /// The recorder's parts again, by their addresses: to ask for these, and to use them, counts no reference.
    let timeline: Unmanaged<TimelineRecorder>?
    let trace: Unmanaged<TraceRecorder>?
    /// Whether there is a recorder.
    private let isRecording: Bool

    /// The ports whose OUTs need a closer look, or -1: compared with every port, so no table is asked twice.
    let patchPort: Int32
    let firmwarePort: Int32

    /// Service time that is not booked yet: what booking the previous exit took.
    private var unbookedCycles: UInt64 = 0
    /// When the exit that is being serviced began.
    var serviceStart: UInt64 = 0
    /// When the guest is entered next, as far as the time is known: the end of the last exit's booking.
    private var entry: UInt64 = 0
    /// How the run ended, once an exit has ended it.
    private var ending: RunEnding?
    /// The fault trap's breakpoint, as KVM has it.
    var breakpoint: UInt64?
    /// In single-step mode, the linear address after the HLT that is the next instruction, if it is one.
    var haltEnd: UInt64?

    init(vcpu: VCPU, index: Int, machine: MachineParts, trap: SiteTrap, faultTrap: FaultTrap? = nil) {
        self.vcpu = vcpu
        self.index = index
        self.machine = machine
        self.trap = trap
        self.faultTrap = faultTrap
        counters = machine.counters.counters(of: index)
        recorder = ExitRecorder(machine.recording)
        timeline = recorder?.timeline.map(Unmanaged.passUnretained)
        trace = recorder?.trace.map(Unmanaged.passUnretained)
        isRecording = recorder != nil
        responder = CPUIDResponder(
            vcpu: vcpu, leaves: machine.leaves, counters: machine.counters, kernelExits: machine.kernelExits)
        registers = VCPURegisters(
            vcpu: vcpu,
            supported: machine.syncRegisters,
            wantsGeneral: trap.mechanism != .none || faultTrap != nil,
            wantsSpecial: trap.mechanism == .step || faultTrap != nil
        )
        patchPort = (faultTrap?.port).map(Int32.init) ?? (trap.mechanism == .patch ? Int32(trap.port) : -1)
        firmwarePort = machine.firmwarePort.map(Int32.init) ?? -1
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
            machine.control.stop(.failed(error))
        }
        do throws(KVMError) {
            try startTrap()
            try loop()
        } catch {
            machine.control.end(.failed(error), flushing: machine.console)
        }
        // Where the run was ended from outside. Before this thread can be kicked no more: the reader may not read.
        machine.console.flush()
        machine.control.leave(vcpu)
    }

    private func loop() throws(KVMError) {
        entry = ckvm_rdtsc()
        while true {
            let result = vcpu.enter()
            serviceStart = ckvm_rdtsc()
            counters.bookRun(cycles: serviceStart &- entry)
            guard result == 0 else {
                guard try shouldReenter(after: result) else { return }
                if trap.mechanism == .step { try resumeStepping() }
                entry = ckvm_rdtsc()
                counters.bookInternal(cycles: entry &- serviceStart)
                continue
            }
            let exit = Exit(of: vcpu)
            let serviced = try service(exit)
            if let faultTrap { try follow(faultTrap) }
            guard settle(serviced) else { return }
            if trap.mechanism == .step {
                guard try goOnStepping(after: exit) else { return }
                entry = ckvm_rdtsc()
            }
        }
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
            if isRecording { ownCycles &+= record(kind, end: end, cycles: cycles) }
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
    /// - Throws: ``KVMError`` for a failure that is no kick.
    func shouldReenter(after result: Int32) throws(KVMError) -> Bool {
        guard result == -EINTR || result == -EAGAIN else { throw .failed("KVM_RUN", result) }
        // In this order: a kick between the two sets immediate_exit again, and the next KVM_RUN returns at once.
        vcpu.clearImmediateExit()
        machine.console.flushIfOverdue()
        return !machine.control.isStopping
    }

    /// Ends the run with the exit that is being serviced.
    func over(_ kind: ExitKind, _ ending: RunEnding) -> Service {
        self.ending = ending
        return .over(kind)
    }

    /// What there is to say of a death at the present state of the vCPU.
    func death(_ cause: GuestDeath.Cause) -> GuestDeath {
        GuestDeath(cause: cause, vcpu: index, state: try? VCPUSnapshot(of: vcpu, memory: machine.memory))
    }

    /// Services an exit. It is counted before anything else is done for it.
    @inline(__always)
    func service(_ exit: Exit) throws(KVMError) -> Service {
        switch exit {
        case .portOut(let access):
            let port = Int32(access.port)
            if port == patchPort, let serviced = try servicePatchPort() { return serviced }
            if port == firmwarePort, let serviced = try serviceFirmwareCall() { return serviced }
            counters.begin(.portOut)
            writePort(access)
            return .booked(.portOut)
        case .portIn(let access):
            counters.begin(.portIn)
            readPort(access)
            return .booked(.portIn)
        case .mmioRead(let access):
            counters.begin(.mmioRead)
            readMMIO(access)
            return .booked(.mmioRead)
        case .mmioWrite(let access):
            counters.begin(.mmioWrite)
            writeMMIO(access)
            return .booked(.mmioWrite)
        case .debug(let pc, _):
            return try serviceDebug(pc: pc)
        default:
            return serviceRare(exit)
        }
    }
}
