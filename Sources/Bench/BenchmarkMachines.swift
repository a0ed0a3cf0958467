import Boot
import CKVM
import Counters
import Devices
import Host
import KVM
import MiniVMM
import Tracepoints

/// Runs the programs of a benchmark.
struct BenchmarkMachines {
    package let kvm: KVM
    package let repetitions: Int

    /// What came of a program.
    package typealias Run = (samples: [UInt32], tscKHz: UInt32?)

    /// How long a program may take: far more than any does.
    private static let limit = Duration.seconds(60)
    /// Single steps take a hundred times as long as anything else.
    private static let maximumStepRepetitions = 500

    /// Runs an operation's program.
    ///
    /// - Throws: ``BenchmarkError``, or an error of the machine's making.
    package func run(_ operation: BenchmarkOperation) throws -> Run {
        switch operation.vehicle {
        case .bareLoop: return try runBare(operation, msr: nil)
        case .bareLoopWithMSR(let index):
            for capability in [Capability.userSpaceMSR, .msrFilter] where kvm.value(of: capability) == 0 {
                throw BenchmarkError.missingCapability(capability.name)
            }
            return try runBare(operation, msr: index)
        case .miniVMM(let trap): return try runMachine(operation, trap: trap)
        case .ringThree: return try runRingThree(operation)
        }
    }

    // MARK: MiniVMM

    private func runMachine(_ operation: BenchmarkOperation, trap: CPUIDTrap) throws -> Run {
        guard try kvm.trapSupport().includes(trap) else { throw BenchmarkError.trapDoesNotWork(trap) }
        let count = trap == .step ? min(repetitions, Self.maximumStepRepetitions) : repetitions
        let program = BenchmarkProgram(operation, repetitions: count)
        var options = MachineOptions()
        options.trap = trap
        let machine = try Machine(kvm: kvm, guest: FlatGuest(image: program.bytes), options: options)
        let outcome = try machine.run(timeout: Self.limit)
        guard case .exitPort = outcome.ending else { throw BenchmarkError.unexpected(outcome.ending.summary) }
        return (try program.samples(in: machine.parts.memory), outcome.tscKHz)
    }

    private func runRingThree(_ operation: BenchmarkOperation) throws -> Run {
        guard try kvm.supportsFaultTrap() else { throw BenchmarkError.trapDoesNotWork(.fault) }
        let program = BenchmarkProgram(inRingThree: operation, repetitions: repetitions)
        let sandbox = try RingThreeSandbox(
            program: program.bytes, handler: BenchmarkProgram.ringThreeHandler,
            size: BenchmarkProgram.ringThreeMemorySize)
        let mechanism = try CPUIDFaulting.best(kvm: kvm, memory: sandbox.memory)
        let machine = try RingThreeMachine(kvm: kvm, sandbox: sandbox, mechanism: mechanism)
        let ending = try machine.run(timeout: Self.limit)
        guard case .exitPort = ending else { throw BenchmarkError.unexpected(ending.summary) }
        // A CPUID that nothing brings out would be answered all the same, much faster.
        guard machine.parts.counters.counters(of: 0).exits(of: .cpuid) == UInt64(program.count) else {
            throw BenchmarkError.unexpected("its CPUIDs were not trapped")
        }
        return (try program.samples(in: sandbox.memory), nil)
    }

    // MARK: The bare loop

    /// What KVM takes for an operation's exit, by its tracepoints: to the next entry, or where KVM passes the exit on,
    /// to the return of KVM_RUN. Its own run, so that what the tracepoints cost is in no other figure.
    ///
    /// - Returns: The mean in nanoseconds; nil where no exit comes of it.
    package func kernelTime(
        _ operation: BenchmarkOperation, method: ExitTracepoints.Method
    ) throws -> Double? {
        let msr: UInt32?
        switch operation.vehicle {
        case .bareLoop: msr = nil
        case .bareLoopWithMSR(let index): msr = index
        case .miniVMM, .ringThree: return nil
        }
        let tracepoints = try ExitTracepoints(method: method, threadCount: 1)
        let run = try runBare(operation, msr: msr, tracepoints: tracepoints)
        let slots = (0..<ExitReasonIndex.count).map { tracepoints.slot(thread: 0, reason: $0) }
        // What the operation is, and not an interrupt of the host's that came between.
        guard let slot = slots.max(by: { $0.count < $1.count }), slot.count >= UInt64(run.samples.count) else {
            return nil
        }
        let isPassedOn = slot.user > slot.count / 2
        let count = isPassedOn ? slot.user : slot.count &- slot.user
        return Double(isPassedOn ? slot.nanosecondsToUser : slot.nanosecondsKernel) / Double(max(1, count))
    }

    private func runBare(
        _ operation: BenchmarkOperation, msr: UInt32?, tracepoints: ExitTracepoints? = nil
    ) throws -> Run {
        let program = BenchmarkProgram(operation, repetitions: repetitions)
        let guest = FlatGuest(image: program.bytes)
        let memory = try guest.makeMemory()
        let loaded = try guest.load(into: memory, on: GuestPlatform())
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        try machine.setRealModePages()
        if let msr { try machine.interceptMSR(msr) }
        let vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
        try vcpu.enter(loaded.entry)

        try KickSignal.install()
        let control = RunControl()
        let ended = try EndSignal(count: 1)
        let thread = try PosixThread(name: "bench") {
            control.join(vcpu)
            control.stop(Self.run(vcpu, control, tracepoints))
            control.leave(vcpu)
            ended.give()
        }
        if !ended.wait(timeout: Self.limit) { control.stop(.timeout) }
        thread.join()
        switch control.ending {
        case .exitPort: return (try program.samples(in: memory), vcpu.tscKHz)
        case .timeout: throw BenchmarkError.timeout
        case let other: throw BenchmarkError.unexpected(other?.summary ?? "it was stopped")
        }
    }

    private static func run(_ vcpu: VCPU, _ control: RunControl, _ tracepoints: ExitTracepoints?) -> RunEnding {
        do {
            try tracepoints?.add(thread: ckvm_thread_id(), as: 0)
        } catch {
            return .failed(error)
        }
        return loop(vcpu, control)
    }

    /// The least that brings the operations about.
    private static func loop(_ vcpu: VCPU, _ control: RunControl) -> RunEnding {
        while true {
            let result = vcpu.enter()
            guard result == 0 else {
                guard result == -EINTR || result == -EAGAIN else { return .failed(KVMError.failed("KVM_RUN", result)) }
                vcpu.clearImmediateExit()
                if control.isStopping { return .stopped }
                continue
            }
            switch Exit(of: vcpu) {
            case .portOut(let access) where access.port == DebugPorts.exit: return .exitPort(0)
            case .portOut(let access) where access.port == UInt16(FirmwareStubs.port):
                return .failed(BenchmarkFault())
            case .portOut, .portIn, .mmioRead, .mmioWrite, .hlt: break
            case .rdmsr, .wrmsr: vcpu.answerMSR(0)
            case let other:
                return .died(GuestDeath(cause: .unexpectedExit(name: other.kind.name, reason: 0), vcpu: 0, state: nil))
            }
        }
    }
}
