import CKVM
import Synchronization

/// A machine that is ready to run a guest, once.
public final class Machine: Sendable {
    /// Ends the run from outside: another thread, a signal.
    public let control: RunControl

    let runners: [VCPURunner]
    let parts: MachineParts
    /// The serial port that the guest's console is on.
    public let serial: Serial16550
    private let receiver: any ConsoleReceiver
    private let inputBell: Doorbell
    private let kvm: KVM
    private let trap: SiteTrap
    /// The frequency of the time-stamp counter, where it is known.
    public let tscKHz: UInt32?
    private let hasRun = Atomic(false)

    /// Makes a machine for a flat guest.
    ///
    /// - Throws: A ``DiagnosticError``: ``KVMError``, ``GuestMemoryError``, ``FlatGuestError``, ``SiteTrapError``.
    public convenience init(kvm: KVM, guest: FlatGuest, options: MachineOptions = MachineOptions()) throws {
        self.init(try MachineAssembly.flat(guest, kvm: kvm, options: options), kvm: kvm)
    }

    /// Makes a machine for a Linux guest.
    ///
    /// - Throws: A ``DiagnosticError``: ``KVMError``, ``GuestMemoryError``, ``MemorySizeError``, ``ImageError``.
    public convenience init(kvm: KVM, guest: LinuxGuest, options: MachineOptions = MachineOptions()) throws {
        self.init(try MachineAssembly.linux(guest, kvm: kvm, options: options), kvm: kvm)
    }

    private init(_ assembly: MachineAssembly, kvm: KVM) {
        self.kvm = kvm
        control = assembly.parts.control
        parts = assembly.parts
        trap = assembly.trap
        serial = assembly.serial
        receiver = assembly.receiver
        inputBell = assembly.inputBell
        tscKHz = assembly.vcpus.first?.tscKHz
        runners = assembly.vcpus.enumerated().map { index, vcpu in
            VCPURunner(
                vcpu: vcpu, index: index, machine: assembly.parts, trap: assembly.trap,
                faultTrap: assembly.faultTraps?[index])
        }
    }

    /// Runs the guest until it ends, is ended, or the time is up. Blocks the calling thread.
    ///
    /// - Parameters:
    ///   - timeout: How long the guest may run; nil for as long as it likes.
    ///   - input: Where the input of the guest's console comes from, or of its program if the guest was made for one;
    ///     nil for none. It is read from only during the run.
    /// - Returns: How the run ended, a failure of MiniVMM included, and what it came to until then.
    /// - Throws: ``KVMError`` when the system refuses threads; then no guest code ran to its end.
    public func run(timeout: Duration? = nil, input: ConsoleSource? = nil) throws(KVMError) -> RunOutcome {
        let isFirst = !hasRun.exchange(true, ordering: .sequentiallyConsistent)
        precondition(isFirst, "a machine runs once")
        let handler = ckvm_install_kick_handler()
        guard handler >= 0 else { throw .failed("sigaction", handler) }

        let allEnded = try EndSignal(count: runners.count)
        let feeding = try input.map { source throws(KVMError) in
            try ConsoleInput(source, to: receiver, bell: inputBell)
        }
        defer { feeding?.end() }
        if input == nil { receiver.end() }
        let origin = ckvm_rdtsc()
        for runner in runners { runner.recorder?.start(at: origin) }
        let start = ContinuousClock.now
        let threads = try startThreads(allEnded)
        RunSupervisor(control: control, console: parts.console, allEnded: allEnded).wait(timeout: timeout)
        // It ends while the numbers are put together.
        feeding?.requestEnd()
        for thread in threads { thread.join() }
        var outcome = outcome(after: start.duration(to: .now))
        if parts.recording != RecordingOptions() { addRecords(to: &outcome, origin: origin) }
        return outcome
    }

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
            ending: explain(control.ending ?? .stopped),
            statistics: RunStatistics(parts.counters),
            duration: duration,
            tscKHz: tscKHz,
            trap: runners.contains { $0.faultTrap != nil } ? .fault : trap.mechanism,
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
