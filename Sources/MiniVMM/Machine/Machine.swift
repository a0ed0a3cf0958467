import CKVM
import Logging
import Synchronization

/// A machine that is ready to run a guest, once.
public final class Machine: Sendable {
    /// Ends the run from outside: another thread, a signal.
    public let control: RunControl

    let runners: [VCPURunner]
    let parts: MachineParts
    private let trap: SiteTrap
    private let tscKHz: UInt32?
    private let hasRun = Atomic(false)

    /// Makes a machine for a flat guest.
    ///
    /// - Throws: A ``DiagnosticError``: ``KVMError``, ``GuestMemoryError``, ``FlatGuestError``, ``SiteTrapError``.
    public init(kvm: KVM, guest: FlatGuest, options: MachineOptions = MachineOptions()) throws {
        try kvm.require(Capability.required)
        let memory = try guest.makeMemory()
        let trap = try SiteTrap.choose(for: guest, options: options, kvm: kvm)
        if trap.mechanism == .patch { try trap.patch(memory) }
        options.logger.info(
            "CPUID trap",
            metadata: [
                "mechanism": "\(trap.mechanism.rawValue)",
                "sites": "\(trap.sites.addresses.map { Hex.number($0) })",
            ])
        let virtualMachine = try VirtualMachine(kvm: kvm, memory: memory)
        try virtualMachine.setRealModePages()
        try virtualMachine.reportEmulationFailures()

        let control = RunControl()
        let console = ConsoleOutput(
            descriptor: options.consoleDescriptor,
            shouldGiveUp: { control.isStopping },
            onFailure: { control.stop(.failed($0)) }
        )
        let counters = ExitCounterTable(vcpuCount: 1)
        let parts = MachineParts(
            memory: memory,
            ports: try PortBus(Self.flatDevices(control: control, console: console)),
            mmio: try MMIOBus([]),
            counters: counters,
            leaves: options.leaves,
            control: control,
            console: console,
            syncRegisters: UInt64(kvm.value(of: .syncRegisters)),
            firmwarePort: FirmwareStubs.port
        )
        let vcpu = try virtualMachine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
        try guest.start(vcpu)

        self.control = control
        self.parts = parts
        self.trap = trap
        tscKHz = vcpu.tscKHz
        runners = [VCPURunner(vcpu: vcpu, index: 0, machine: parts, trap: trap)]
    }

    /// The devices of a flat guest.
    private static func flatDevices(control: RunControl, console: ConsoleOutput) -> [PortAttachment] {
        let transmit: @Sendable (UInt8) -> Void = { console.write($0) }
        let serial = Serial16550(interrupt: { _ in }, transmit: transmit)
        let exit = ExitPort { control.stop(.exitPort($0)) }
        return [
            PortAttachment(serial, named: "serial", at: PortMap.serial),
            PortAttachment(
                DebugConsole(transmit: transmit), named: "debug console",
                at: PortMap.debugConsole...PortMap.debugConsole),
            PortAttachment(exit, named: "exit port", at: PortMap.exit...PortMap.exit),
            PortAttachment(PostCodePort(), named: "POST codes", at: PortMap.postCode...PortMap.postCode),
        ]
    }

    /// Runs the guest until it ends, is ended, or the time is up. Blocks the calling thread.
    ///
    /// - Parameter timeout: How long the guest may run; nil for as long as it likes.
    /// - Returns: How the run ended, a failure of MiniVMM included, and what it came to until then.
    /// - Throws: ``KVMError`` when the system refuses threads; then no guest code ran to its end.
    public func run(timeout: Duration? = nil) throws(KVMError) -> RunOutcome {
        let isFirst = !hasRun.exchange(true, ordering: .sequentiallyConsistent)
        precondition(isFirst, "a machine runs once")
        let handler = ckvm_install_kick_handler()
        guard handler >= 0 else { throw .failed("sigaction", handler) }

        let allEnded = try EndSignal(count: runners.count)
        let start = ContinuousClock.now
        let threads = try startThreads(allEnded)
        if !allEnded.wait(timeout: timeout) {
            control.stop(.timeout)
            // A kick that comes just before a thread waits for a console's reader does not end that wait.
            while !allEnded.wait(timeout: Self.timeBetweenKicks) { control.kick() }
        }
        for thread in threads { thread.join() }
        return outcome(after: start.duration(to: .now))
    }

    private static let timeBetweenKicks = Duration.milliseconds(10)

    /// Starts the vCPUs' threads: all, or none that still runs.
    private func startThreads(_ allEnded: EndSignal) throws(KVMError) -> [PosixThread] {
        var threads: [PosixThread] = []
        for runner in runners {
            do {
                let thread = try PosixThread(name: "vcpu \(runner.index)") {
                    runner.run()
                    allEnded.give()
                }
                threads.append(thread)
            } catch {
                control.stop(.failed(error))
                for thread in threads { thread.join() }
                throw error
            }
        }
        return threads
    }

    /// What there is to say of the run. Only when the threads have ended.
    private func outcome(after duration: Duration) -> RunOutcome {
        RunOutcome(
            // A vCPU's thread ends only when the run was stopped.
            ending: control.ending ?? .stopped,
            statistics: RunStatistics(parts.counters),
            duration: duration,
            tscKHz: tscKHz,
            trap: trap.mechanism,
            unclaimedPorts: UnclaimedAddress.sum(runners.map(\.unclaimed.touchedPorts)),
            unclaimedPages: UnclaimedAddress.sum(runners.map(\.unclaimed.touchedPages))
        )
    }
}
