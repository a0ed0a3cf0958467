import Boot
package import Counters
import Devices
import Host
import KVM
import Logging
package import Memory
import Tracepoints

/// Puts a machine together: memory, virtual machine, components, ACPI, guest, vCPUs, trap.
struct MachineBuilder {
    /// What every machine has. A new built-in device is an entry here.
    static let standardComponents: [any Component] = [
        DebugPorts(), SerialPort(), RealTimeClock(), Keyboard(), SystemControl(), PowerManagement(), ResetControl(),
        PanicNotifier(), TimerCounters(), InterruptControllers(), VideoRegisters(), FirmwareConfiguration(),
        DMAPages(),
    ]

    let kvm: KVM
    let options: MachineOptions
    /// What finds out what the host can do. Whoever made it closes the machine that it ran in.
    let tests: SelfTests

    /// What a machine is made of.
    struct Product {
        let parts: MachineParts
        let runners: [VCPURunner]
        let trap: CPUIDTrap
        let attachments: Attachments
        let hasFirmwareStubs: Bool
    }

    /// Builds the machine for a guest.
    ///
    /// - Throws: A `DiagnosticError`.
    func build(_ guest: some Guest) throws -> Product {
        try checkHost(for: guest)
        let memory = try guest.makeMemory()
        let machine = try makeVirtualMachine(memory)
        let hasInterruptControllers = guest.wantsInterruptControllers || options.cpuCount > 1
        if hasInterruptControllers { try machine.createInterruptControllers() }

        let control = RunControl()
        var components = Self.standardComponents
        if guest.hasScreen { components.append(ScreenMemory()) }
        components += options.components
        let attachments = try attach(
            components, memory, machine, control, readsACPI: guest.wantsACPI,
            hasInterruptControllers: hasInterruptControllers)
        let entry = try load(guest, into: memory, attachments)
        let trap = try TrapPlan(
            for: guest, options: options, tests: tests, memory: memory,
            claimed: attachments.portAttachments)
        options.logger.info("CPUID trap", metadata: trap.metadata)

        let vcpus = try makeVCPUs(machine, for: guest)
        try vcpus[0].enter(entry)
        if case .fault = trap { try CPUIDFaulting.enable(machine, vcpus) }
        var parts = try makeParts(
            memory, control, attachments, vcpus, trap.name, hasInterruptControllers: hasInterruptControllers)
        parts.resetsByTripleFault = guest.resetsByTripleFault
        parts.screen = attachments.screen
        if guest.hasFirmwareStubs {
            parts.firmware = FirmwareServices(guest.bootDisk, attachments)
            if !hasInterruptControllers { parts.ticks = TimerTicks(attachments, memory, control) }
        }
        let runners = try vcpus.enumerated().map { index, vcpu in
            try trap.makeRunner(
                vcpu, index, parts, hasFirmwareStubs: guest.hasFirmwareStubs, debugging: options.debugging)
        }
        return Product(
            parts: parts, runners: runners, trap: trap.name, attachments: attachments,
            hasFirmwareStubs: guest.hasFirmwareStubs)
    }

    /// Checks what the host must have, before anything is made.
    private func checkHost(for guest: some Guest) throws {
        try kvm.require(Capability.required)
        if guest.wantsInterruptControllers { try kvm.require(Capability.requiredForLinux) }
        // Such a guest does not end there: it runs into what is missing, and on and on in its own handlers.
        if case .operatingSystem = guest.code, !options.triesUnsupportedGuests { try tests.requireLinuxSupport() }
        try options.checkCPUCount(kvm)
        try options.pinnedCPUs?.checkUsable()
    }

    private func makeVirtualMachine(_ memory: GuestMemory) throws(KVMError) -> VirtualMachine {
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        try machine.setRealModePages()
        try machine.reportEmulationFailures()
        return machine
    }

    /// Attaches components, the standard ones first.
    private func attach(
        _ components: [any Component], _ memory: GuestMemory, _ machine: VirtualMachine, _ control: RunControl,
        readsACPI: Bool, hasInterruptControllers: Bool
    ) throws -> Attachments {
        let console = try ConsoleOutput(
            descriptor: options.consoleDescriptor,
            shouldGiveUp: { control.isStopping },
            statusLine: options.statusLine,
            onFailure: { control.stop(.failed($0)) })
        let usesKernelPaths = hasInterruptControllers && options.notifications == .kernel
        let context = MachineContext(
            memory: memory, cpuCount: options.cpuCount, readsACPI: readsACPI, console: console,
            inputBell: try Doorbell(), paths: usesKernelPaths ? KernelNotifications(machine, kvm) : nil,
            setInterruptLevel: { line, isHigh in
                if hasInterruptControllers { machine.setInterruptLine(line, isHigh: isHigh) }
            },
            isEnding: { control.isStopping },
            end: { event in control.end(event, flushing: console) })
        control.watch(context.panicWatch)
        var attachments = Attachments(machine: context)
        for component in components { try component.attach(to: &attachments) }
        return attachments
    }

    /// Loads the guest, and writes the ACPI tables of what is attached.
    private func load(
        _ guest: some Guest, into memory: GuestMemory, _ attachments: Attachments
    ) throws -> EntryState {
        var tables: ACPITables?
        if guest.wantsACPI {
            tables = try ACPITables.build(
                at: BootLayout.acpiTables, vcpuCount: options.cpuCount, describing: attachments.description)
        }
        // The guest is loaded first, because it expects the memory to be zero.
        let loaded = try guest.load(
            into: memory,
            on: GuestPlatform(
                acpiRootPointer: tables?.rsdp, acpiRoot: tables?.root ?? [],
                kernelArguments: attachments.kernelArguments))
        if let tables { try memory.write(tables.bytes, at: tables.start) }
        if guest.hasFirmwareStubs || guest.wantsACPI {
            let tablesEnd = tables.map { $0.start &+ UInt64($0.bytes.count) }
            try ResetVector.write(to: memory, above: tablesEnd)
        }
        options.logger.info(
            "guest loaded",
            metadata: [
                "entry": "\(Hex.number(loaded.entry.rip))", "mode": "\(loaded.entry.mode)",
                "image": "\(loaded.image)", "initrd": "\(loaded.initrd.map { "\($0)" } ?? "none")",
            ])
        return loaded.entry
    }

    /// The vCPUs, of which all but the first wait until they are started, and their CPUID tables.
    private func makeVCPUs(_ machine: VirtualMachine, for guest: some Guest) throws(KVMError) -> [VCPU] {
        let supported = try kvm.supportedCPUID()
        let firmware = FirmwareState(kvm, supported)
        let topology = CPUTopology(coreCount: options.cpuCount)
        let hasDeadlineTimer = guest.wantsInterruptControllers && kvm.value(of: .deadlineTimer) != 0
        var vcpus: [VCPU] = []
        for number in 0..<options.cpuCount {
            let vcpu = try machine.makeVCPU(id: UInt32(number))
            try vcpu.setCPUID(
                .guest(
                    supported: supported, apicID: vcpu.id, topology: topology, hasDeadlineTimer: hasDeadlineTimer))
            if guest.wantsInterruptControllers { try vcpu.connectLocalInterrupts() }
            try firmware.set(vcpu)
            vcpus.append(vcpu)
        }
        return vcpus
    }

    private func makeParts(
        _ memory: GuestMemory, _ control: RunControl, _ attachments: Attachments, _ vcpus: [VCPU],
        _ trap: CPUIDTrap, hasInterruptControllers: Bool
    ) throws -> MachineParts {
        let counters = try ExitCounterTable(vcpuCount: options.cpuCount)
        return MachineParts(
            memory: memory,
            ports: try PortBus(attachments.portAttachments),
            mmio: try MMIOBus(attachments.mmioAttachments),
            counters: counters,
            leaves: options.leaves,
            numbering: options.exitTypes,
            chosenSource: try makeSource(counters, vcpus, trap),
            control: control,
            console: attachments.machine.console,
            syncRegisters: UInt64(kvm.value(of: .syncRegisters)),
            hasInterruptControllers: hasInterruptControllers,
            pinnedCPUs: options.pinnedCPUs,
            recording: options.recording,
            recorders: try (0..<options.cpuCount).map { _ in try ExitRecorder(options.recording) }
        )
    }

    /// Where the guest's counts come from. A new source is a case here.
    private func makeSource(
        _ counters: ExitCounterTable, _ vcpus: [VCPU], _ trap: CPUIDTrap
    ) throws -> ChosenSource {
        switch options.exits {
        case .user: return ChosenSource(counters, .user)
        case .total:
            guard let kernelExits = try KernelExits(of: vcpus) else {
                throw KVMError.missingCapability(.binaryStatistics)
            }
            return ChosenSource(KernelTotalSource(counters, kernelExits), .total)
        case .all: return ChosenSource(try makeAllExitsSource(counters, vcpus, trap), .all)
        case .auto:
            do {
                return ChosenSource(try makeAllExitsSource(counters, vcpus, trap), .all)
            } catch let error as TracepointError {
                // That is a matter of what was asked for, and not of what the host can count.
                if case .noRoomForTrace = error { throw error }
                return ChosenSource(counters, .user, because: error.explanation)
            }
        }
    }

    private func makeAllExitsSource(
        _ counters: ExitCounterTable, _ vcpus: [VCPU], _ trap: CPUIDTrap
    ) throws -> AllExitsSource {
        let method = try options.tracepointMethod ?? tests.tracepointSupport()
        let tracepoints = try ExitTracepoints(
            method: method, threadCount: vcpus.count, placeCapacity: options.recording.placeCapacity,
            ringCapacity: options.recording.tracesKernel ? options.recording.traceCapacity : nil)
        return AllExitsSource(
            counters, tracepoints, try KernelExits(of: vcpus), tscKHz: vcpus.first?.tscKHz,
            trapsByFault: trap == .fault)
    }
}

/// A source of counts, and which exits it counts.
struct ChosenSource: Sendable {
    let source: any CounterSource
    /// Never `auto`.
    let scope: ExitScope
    /// Why it does not count every exit, where that was wanted if it works.
    let reason: String?

    init(_ source: any CounterSource, _ scope: ExitScope, because reason: String? = nil) {
        self.source = source
        self.scope = scope
        self.reason = reason
    }
}

/// What the vCPUs of a machine share.
package struct MachineParts: Sendable {
    package let memory: GuestMemory
    let ports: PortBus
    let mmio: MMIOBus
    package let counters: ExitCounterTable
    let leaves: CounterLeaves
    /// Whose numbers exit types have in the leaves.
    var numbering = ExitNumbering.sdm
    /// Where the numbers come from that the leaves answer with.
    let chosenSource: ChosenSource
    var source: any CounterSource { chosenSource.source }
    let control: RunControl
    let console: ConsoleOutput
    /// What KVM_CAP_SYNC_REGS answers: a bit for each set of registers that KVM keeps in the run page.
    let syncRegisters: UInt64
    /// Whether KVM has interrupt controllers for the guest. Then HLT is KVM's as well, and comes out no more:
    /// ``HaltWatch`` finds a guest that has halted for good.
    var hasInterruptControllers = false
    /// Whether the guest was told to reset the machine by a triple fault.
    var resetsByTripleFault = false
    /// The text screen, whose last lines are shown when the run ends.
    var screen: TextScreen?
    /// What is behind the interrupt stubs of a flat guest.
    var firmware: FirmwareServices?
    /// The timer's interrupt, where KVM has none for the guest.
    var ticks: TimerTicks?
    /// The host's CPUs that the vCPUs are kept on.
    var pinnedCPUs: CPUList?
    /// What is kept of the exits besides the counters.
    var recording = RecordingOptions()
    /// Each vCPU's recorder, if anything is kept.
    ///
    /// Sound to share between threads: each is for its vCPU's own thread, and for others after that was joined.
    nonisolated(unsafe) let recorders: [ExitRecorder?]
}
