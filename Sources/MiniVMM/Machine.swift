public import Boot
import CKVM
public import Counters
public import Devices
public import Host
public import KVM
import Memory
import Synchronization
import Tracepoints

/// A machine that is ready to run a guest, once.
public final class Machine: Sendable {
    /// Ends the run from outside: another thread, a signal.
    public let control: RunControl

    package let runners: [VCPURunner]
    package let parts: MachineParts
    private let receiver: (any ConsoleReceiver)?
    private let workers: [Worker]
    private let virtioDevices: [VirtioAttachment]
    private let inputBell: Doorbell
    let kvm: KVM
    private let trap: CPUIDTrap
    private let confinement: (any RunConfinement)?
    /// What the host was tried with. Its virtual machine is closed when the guest runs.
    private let tests: SelfTests
    /// Whether the guest is a flat image, without an operating system that would handle a terminal.
    public let isFlat: Bool
    /// The frequency of the time-stamp counter, where it is known.
    public let tscKHz: UInt32?
    private let hasRun = Atomic(false)
    private let inputError = Locked<ErrorNumber?>(nil)
    /// What tells how the vCPUs' threads come to run; nil where nobody asks.
    private let scheduling: SchedulingProbe?

    /// Makes a machine for a guest.
    ///
    /// - Parameters:
    ///   - kvm: The host's KVM.
    ///   - guest: The guest, see `GuestLoaders`.
    ///   - options: What the machine is made with.
    /// - Throws: A `DiagnosticError`: what the host refuses, or what is wrong with guest or options.
    public init(kvm: KVM, guest: some Guest, options: MachineOptions = MachineOptions()) throws {
        tests = SelfTests(kvm)
        let product = try MachineBuilder(kvm: kvm, options: options, tests: tests).build(guest)
        self.kvm = kvm
        parts = product.parts
        control = parts.control
        trap = product.trap
        confinement = options.confinement
        runners = product.runners
        isFlat = product.hasFirmwareStubs
        receiver = product.attachments.receiver
        inputBell = product.attachments.machine.inputBell
        workers = product.attachments.workers
        virtioDevices = product.attachments.virtioDevices
        tscKHz = runners.first?.vcpu.tscKHz
        scheduling = parts.recording.readsScheduling ? SchedulingProbe(vcpuCount: runners.count) : nil
        options.debugging?.connect(to: parts.control, vcpuCount: runners.count)
    }

    /// Runs the guest until it ends, is ended, or the time is up. Blocks the calling thread.
    ///
    /// - Parameters:
    ///   - timeout: How long the guest may run; nil for as long as it likes.
    ///   - input: Where the input of the guest's console comes from, or of its program if the guest was made for one;
    ///     nil for none. It is read from only during the run.
    /// - Returns: How the run ended, a failure of MiniVMM included, and what it came to until then.
    /// - Throws: ``MachineError/alreadyRun`` the second time; `ResourceError` when the system refuses threads or
    ///   descriptors; then no guest code ran to its end.
    public func run(timeout: Duration? = nil, input: ConsoleSource? = nil) throws -> RunOutcome {
        let isFirst = !hasRun.exchange(true, ordering: .sequentiallyConsistent)
        guard isFirst else { throw MachineError.alreadyRun }
        try KickSignal.install()

        let allEnded = try EndSignal(count: runners.count)
        let feeding = try startFeeding(input)
        defer {
            feeding?.end()
            inputError.withLock { $0 = feeding?.failure }
        }
        let helpers = try startWorkers()
        defer { for helper in helpers { helper.end() } }
        let clocks = parts.recording.tracesKernel ? ClockPairs.Pair.now() : nil
        let origin = ckvm_rdtsc()
        let sampler = try makeSampler(origin: origin)
        for runner in runners { runner.recorder?.start(at: origin) }
        scheduling?.start()
        let start = ContinuousClock.now
        let threads: [PosixThread]
        do {
            threads = try startThreads(allEnded)
        } catch {
            _ = sampler?.end()
            throw error
        }
        // The kernel takes a while for it, in which this thread would have nothing to do.
        tests.close()
        var supervisor = RunSupervisor(control: control, console: parts.console, allEnded: allEnded)
        if parts.hasInterruptControllers { supervisor.haltWatch = HaltWatch(control, threads: threads) }
        supervisor.feeding = feeding
        supervisor.ticks = parts.ticks
        supervisor.wait(timeout: timeout)
        // It ends while the numbers are put together.
        feeding?.requestEnd()
        for thread in threads { thread.join() }
        var outcome = outcome(after: start.duration(to: .now))
        outcome.counterLeaves = CounterLeafUse(
            layout: parts.leaves, numbering: parts.numbering, runners.map(\.responder.questions))
        outcome.kernelSettled = parts.source.kernelSettledExits()
        outcome.scheduling = scheduling?.outcome
        outcome.devices = virtioDevices.map(DeviceActivity.init)
        outcome.scope = parts.chosenSource.scope
        outcome.narrowScopeReason = parts.chosenSource.reason
        if parts.recording != RecordingOptions() {
            addRecords(to: &outcome, origin: origin, samples: sampler?.end(), clocks: clocks)
        }
        return outcome
    }

    /// Why the input of the run could not be read to its end, if so. To the guest, it ended there. After the run.
    public var inputFailure: ErrorNumber? { inputError.withLock { $0 } }

    /// Starts to feed the guest's console, if there is anything to feed it with.
    private func startFeeding(_ input: ConsoleSource?) throws(ResourceError) -> ConsoleInput? {
        guard let receiver else { return nil }
        guard let input else {
            receiver.end()
            return nil
        }
        // A confined process starts no threads.
        return unsafe try ConsoleInput(input, to: receiver, whenAsked: confinement == nil, bell: inputBell)
    }

    /// Starts the components' threads: all, or none that still runs.
    private func startWorkers() throws(ResourceError) -> [RunningWorker] {
        var running: [RunningWorker] = []
        for worker in workers {
            do {
                running.append(try RunningWorker(worker))
            } catch {
                for worker in running { worker.end() }
                throw error
            }
        }
        return running
    }

    /// Starts the vCPUs' threads: all, or none that still runs.
    private func startThreads(_ allEnded: EndSignal) throws(ResourceError) -> [PosixThread] {
        // Until all are there, nobody takes those that are for the whole machine.
        control.expect(runners.count)
        var threads: [PosixThread] = []
        let gate = confinement.map { _ in StartGate() }
        for runner in runners {
            do {
                let (source, control, confinement, scheduling) = (parts.source, control, confinement, scheduling)
                let thread = try PosixThread(name: "vcpu \(runner.index)") {
                    let schedule = scheduling?.openFile()
                    do {
                        // Threads and maps that KVM and the tracepoints need are made before the gate.
                        defer { gate?.pass() }
                        try source.prepareThread(ofVCPU: runner.index, thread: ckvm_thread_id())
                        try runner.vcpu.prepareToRun()
                    } catch let error as any DiagnosticError {
                        control.stop(.failed(error))
                    } catch {
                        control.stop(.stopped)
                    }
                    do {
                        try confinement?.confineVCPU()
                        runner.run()
                    } catch let error as any DiagnosticError {
                        control.stop(.failed(error))
                    } catch {
                        control.stop(.stopped)
                    }
                    if let schedule { scheduling?.add(schedule, vcpu: runner.index) }
                    allEnded.give()
                }
                threads.append(thread)
            } catch {
                control.stop(.failed(error))
                gate?.open()
                for thread in threads { thread.join() }
                throw error
            }
        }
        guard let gate, let confinement else { return threads }
        gate.waitForThreads(threads.count)
        do {
            try confinement.confineProcess()
        } catch {
            control.stop(.failed(error))
        }
        gate.open()
        return threads
    }

    /// The outcome of the run. Only when the threads have ended.
    private func outcome(after duration: Duration) -> RunOutcome {
        RunOutcome(
            // A vCPU's thread ends only when the run was stopped.
            ending: explain(control.ending ?? .stopped),
            statistics: RunStatistics(parts.counters),
            duration: duration,
            tscKHz: tscKHz,
            trap: trap,
            unclaimedPorts: UnclaimedAddress.sum(runners.map(\.unclaimed.touchedPorts)),
            unclaimedPages: UnclaimedAddress.sum(runners.map(\.unclaimed.touchedPages))
        )
    }

    /// Adds to a death what the host has to do with it.
    private func explain(_ ending: RunEnding) -> RunEnding {
        guard case .died(var death) = ending, case .emulationFailure = death.cause else { return ending }
        death.isRingZeroEmulated = (try? kvm.linuxSupport()) == .emulatesRingZero
        return .died(death)
    }
}

extension Machine {
    /// The counters so far. At any time, on any thread.
    public var countersSoFar: CounterSnapshot {
        CounterSnapshot(parts.counters, kernelSettled: parts.source.kernelSettledExits())
    }

    /// The counters of each vCPU so far, and what KVM settled itself of all, if every exit is counted. At any time, on any
    /// thread.
    package var countersOfEachVCPU: (vcpus: [CounterSnapshot], kernelSettled: KernelSettledExits?) {
        let vcpus = (0..<parts.counters.vcpuCount).map { CounterSnapshot(parts.counters, vcpu: $0) }
        return (vcpus, parts.source.kernelSettledExits())
    }

    /// How long the exits of a kind took so far on a vCPU. At any time, on any thread.
    package func serviceTimes(of kind: ExitKind, vcpu: Int) -> ServiceTimeHistogram {
        ServiceTimeHistogram(kind, of: [parts.counters.counters(of: vcpu)])
    }

    /// The places so far of the exits that MiniVMM settled, if they are kept. At any time, on any thread.
    package var placesSoFar: ExitPlaces? { places(with: nil) }
}

/// What a machine kept of its exits besides the counters.
extension Machine {
    /// Puts what was kept into the outcome. Only when the threads have ended.
    func addRecords(
        to outcome: inout RunOutcome, origin: UInt64, samples: [KernelExitSamples]?, clocks: ClockPairs.Pair?
    ) {
        let timelines = runners.compactMap { $0.recorder?.timeline }
        if !timelines.isEmpty {
            let own = ExitTimeline(sumOf: timelines)
            outcome.timeline = samples.map { own.adding($0) } ?? own
            outcome.distributions = distributions(of: outcome.statistics.total.kinds.map(\.kind))
        }
        addPlaces(to: &outcome)
        if parts.recording.readsKernelStatistics {
            // A KVM that does not hand them out has none to show. Each vCPU has some, or none has.
            outcome.kernelStatistics = runners.compactMap { try? $0.vcpu.kernelStatistics() }
        }
        let tracks = runners.compactMap { runner in
            runner.recorder?.trace.map { trace in
                let events = trace.kept
                return ExitTrace.Track(
                    vcpu: runner.index, events: events, lostCount: trace.recordedCount &- UInt64(events.count))
            }
        }
        if !tracks.isEmpty {
            var trace = ExitTrace(tracks: tracks, origin: origin)
            if let clocks {
                let clocks = ClockPairs(start: clocks, end: .now())
                trace.kernelTracks = runners.compactMap { parts.source.kernelTrack(ofVCPU: $0.index, clocks) }
            }
            outcome.trace = trace
        }
    }

    /// Puts into the outcome where exits came from.
    private func addPlaces(to outcome: inout RunOutcome) {
        guard parts.recording.placeCapacity != nil else { return }
        outcome.places = places(
            with: parts.source.kernelPlaces(), isSVM: outcome.kernelSettled?.isSVM ?? false)
        outcome.systemCallHandler = runners.first?.vcpu.modelSpecificRegister(ModelSpecificRegister.systemCallHandler)
    }

    /// The places that are kept, with those that the kernel has kept; nil where none are.
    private func places(
        with kernel: (places: [ExitPlaces.Place], lostExits: UInt64)?, isSVM: Bool = false
    ) -> ExitPlaces? {
        let recorders = runners.compactMap { runner in runner.recorder?.places.map { (runner.index, $0) } }
        guard !recorders.isEmpty else { return nil }
        let own = recorders.flatMap { index, recorder in recorder.places(ofVCPU: index) }
        var kernel = kernel
        if trap == .fault { kernel?.places.removeCarried(by: own) }
        var places = ExitPlaces(
            places: own + (kernel?.places ?? []), lostExits: recorders.reduce(0) { $0 &+ $1.1.lostExits },
            kernelLostExits: kernel?.lostExits, isSVM: isSVM,
            cyclesPerNanosecond: Double(tscKHz ?? 1_000_000) / 1_000_000)
        places.claims = claims
        return places
    }

    /// The devices, and where the guest finds them.
    private var claims: [ExitPlaces.Claim] {
        let ports = parts.ports.attachments.map {
            ExitPlaces.Claim(
                name: $0.name, isPort: true, first: UInt64($0.ports.lowerBound), last: UInt64($0.ports.upperBound))
        }
        return ports
            + parts.mmio.attachments.map {
                ExitPlaces.Claim(
                    name: $0.name, isPort: false, first: $0.start.rawValue,
                    last: $0.start.rawValue &+ ($0.size &- 1))
            }
    }

    /// What looks at KVM's share of the exits over time, if they are kept and it is counted.
    private func makeSampler(origin: UInt64) throws(ResourceError) -> KernelExitSampler? {
        guard parts.recording.keepsTimeline, parts.chosenSource.scope == .all else { return nil }
        return try KernelExitSampler(parts.source, origin: origin)
    }

    private func distributions(of kinds: [ExitKind]) -> [ServiceTimeDistribution] {
        let counters = runners.map(\.counters)
        return kinds.map { ServiceTimeDistribution($0, of: counters) }
    }
}

/// Looks at a machine's counters a few times a second while it runs, on a thread of its own.
package final class LiveWatch: Sendable {
    /// What a look found.
    package struct Look: Sendable {
        /// The counters.
        package let counters: CounterSnapshot
        /// What they were at the look before, if there was one.
        package let previous: CounterSnapshot?
        /// Since the first look.
        package let elapsed: Duration
        /// Since the look before.
        package let interval: Duration
    }

    private let thread: PosixThread
    private let isOver: EndSignal

    /// Starts to look.
    ///
    /// - Parameters:
    ///   - interval: The time between two looks.
    ///   - onLook: Called with what was found.
    /// - Throws: `ResourceError` when the system refuses a thread or a descriptor.
    package init(
        _ machine: Machine, every interval: Duration = .milliseconds(250), onLook: @escaping @Sendable (Look) -> Void
    ) throws(ResourceError) {
        let isOver = try EndSignal(count: 1)
        self.isOver = isOver
        thread = try PosixThread(name: "live line") {
            let start = ContinuousClock.now
            var last = start
            var previous: CounterSnapshot?
            while !isOver.wait(timeout: interval) {
                let now = ContinuousClock.now
                let counters = machine.countersSoFar
                onLook(
                    Look(
                        counters: counters, previous: previous, elapsed: start.duration(to: now),
                        interval: last.duration(to: now)))
                last = now
                previous = counters
            }
        }
    }

    /// Stops to look. After it there is no call any more. To be called once.
    package func end() {
        isOver.give()
        thread.join()
    }
}

/// Asks the scheduler how the threads of vCPUs come to run.
private final class SchedulingProbe: Sendable {
    private struct State {
        var vcpus: [ThreadScheduling?]
        var stolenAtStart: UInt64?
    }

    private let stolen = StolenTimeFile()
    private let state: Locked<State>

    init(vcpuCount: Int) {
        state = Locked(State(vcpus: Array(repeating: nil, count: vcpuCount)))
    }

    /// The run starts now.
    func start() {
        let now = stolen?.nanoseconds
        state.withLock { $0.stolenAtStart = now }
    }

    /// What the calling thread's numbers are read from.
    func openFile() -> ThreadSchedulingFile? { ThreadSchedulingFile() }

    /// Takes what a vCPU's thread has come to, on that thread.
    func add(_ file: ThreadSchedulingFile, vcpu: Int) {
        let numbers = file.read()
        state.withLock { $0.vcpus[vcpu] = numbers }
    }

    /// What it was up to now.
    var outcome: RunScheduling {
        let now = stolen?.nanoseconds
        let state = state.withLock { $0 }
        let stolen = state.stolenAtStart.flatMap { start in now.map { $0 >= start ? $0 - start : 0 } }
        return RunScheduling(vcpus: state.vcpus, stolenNanoseconds: stolen)
    }
}

/// Calls something again and again while a machine runs, on a thread of its own.
package final class RunPulse: Sendable {
    private let thread: PosixThread
    private let isOver: EndSignal

    /// Starts to call it.
    ///
    /// - Parameters:
    ///   - name: The thread's name.
    ///   - interval: The time between two calls.
    ///   - body: Called with the time since the start.
    /// - Throws: `ResourceError` when the system refuses a thread or a descriptor.
    package init(
        name: String, every interval: Duration, _ body: @escaping @Sendable (Duration) -> Void
    ) throws(ResourceError) {
        let isOver = try EndSignal(count: 1)
        self.isOver = isOver
        thread = try PosixThread(name: name) {
            let start = ContinuousClock.now
            while !isOver.wait(timeout: interval) { body(start.duration(to: .now)) }
        }
    }

    /// Stops. After it there is no call any more. To be called once.
    package func end() {
        isOver.give()
        thread.join()
    }
}

/// A component's thread that runs.
private struct RunningWorker {
    private let control: Worker.Control
    private let thread: PosixThread

    /// Starts it.
    init(_ worker: Worker) throws(ResourceError) {
        let control = try Worker.Control()
        self.control = control
        thread = try PosixThread(name: worker.name) { worker.body(control) }
    }

    /// Asks it to end and waits until it has.
    func end() {
        control.end()
        thread.join()
    }
}

/// What can be wrong with the use of a machine.
public enum MachineError: Error, Hashable, Sendable {
    /// A machine runs once: make another.
    case alreadyRun
}

extension MachineError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .alreadyRun: "This machine has run already, and a machine runs once."
        }
    }
}

extension Machine {
    /// What the machine is made of.
    public var machineDescription: MachineDescription {
        MachineDescription(memorySize: Self.memorySize(parts.memory), vcpuCount: runners.count)
    }

    /// The size as it was asked for: what lies below 4 GiB counts up to its end, with the holes that a PC has in its
    /// first megabyte, and what lies above counts without the hole below it.
    private static func memorySize(_ memory: GuestMemory) -> UInt64 {
        let (low, high) = memory.regions.reduce(into: (low: UInt64(0), high: UInt64(0))) { sizes, region in
            let isLow = region.end <= BootLayout.highMemory.rawValue
            if isLow { sizes.low = region.end } else { sizes.high += region.size }
        }
        return low + high
    }
}
