import CKVM
import Logging

/// A machine that is being put together: what is common to all guests, and what each kind of guest adds.
struct MachineAssembly {
    let parts: MachineParts
    let trap: SiteTrap
    let faultTraps: [FaultTrap]?
    let vcpus: [VCPU]
    /// The first serial port, where the guest's console is.
    let serial: Serial16550
    /// What takes the input that the run is given.
    let receiver: any ConsoleReceiver
    /// What the receiver rings when it would take more input.
    let inputBell: Doorbell

    /// Puts a machine together for a flat guest: real mode, and interrupts only between several vCPUs.
    ///
    /// - Throws: A ``DiagnosticError``.
    static func flat(_ guest: FlatGuest, kvm: KVM, options: MachineOptions) throws -> MachineAssembly {
        try kvm.require(Capability.required)
        try options.checkCPUCount(kvm)
        try options.pinnedCPUs?.checkUsable()
        let memory = try guest.makeMemory()
        let trap = try SiteTrap.choose(for: guest, options: options, kvm: kvm)
        if trap.mechanism == .patch { try trap.patch(memory) }
        // A breakpoint is taken for a CPUID. What a person names must be one; what a scan finds is.
        if trap.mechanism == .debug { try trap.check(memory) }
        options.logger.info(
            "CPUID trap",
            metadata: [
                "mechanism": "\(trap.mechanism.rawValue)",
                "sites": "\(trap.sites.addresses.map { Hex.number($0) })",
            ])
        let machine = try makeVirtualMachine(kvm: kvm, memory: memory)
        // The others wait for the first to start them through its local APIC.
        if options.cpuCount > 1 { try machine.createInterruptControllers() }

        let devices = try DeviceSet(
            consoleDescriptor: options.consoleDescriptor, statusLine: options.statusLine)
        let serial = devices.serial { _ in }
        let vcpus = try makeVCPUs(machine, kvm: kvm, options: options)
        try guest.start(vcpus[0])
        let parts = try makeParts(
            memory: memory, kvm: kvm, options: options, devices: devices, vcpus: vcpus,
            ports: devices.common + [devices.attachment(of: serial)], firmwarePort: FirmwareStubs.port,
            hasInterruptControllers: options.cpuCount > 1)
        return MachineAssembly(
            parts: parts, trap: trap, faultTraps: nil, vcpus: vcpus, serial: serial, receiver: serial,
            inputBell: devices.inputBell)
    }

    /// Puts a machine together for a Linux guest: interrupt controllers and timer inside KVM, ACPI.
    ///
    /// - Throws: A ``DiagnosticError``.
    static func linux(_ guest: LinuxGuest, kvm: KVM, options: MachineOptions) throws -> MachineAssembly {
        try kvm.require(Capability.required + Capability.requiredForLinux)
        try options.checkCPUCount(kvm)
        try options.pinnedCPUs?.checkUsable()
        let (memory, kernel) = try guest.makeMemory(vcpuCount: options.cpuCount)
        options.logger.info(
            "kernel loaded",
            metadata: [
                "entry": "\(Hex.number(kernel.entry.rip))", "mode": "\(kernel.entry.mode)",
                "kernel": "\(kernel.kernel)", "initrd": "\(kernel.initrd.map { "\($0)" } ?? "none")",
            ])
        let machine = try makeVirtualMachine(kvm: kvm, memory: memory)
        try machine.createInterruptControllers()

        let devices = try DeviceSet(
            consoleDescriptor: options.consoleDescriptor, statusLine: options.statusLine)
        let serial = devices.serial { machine.setInterruptLine(DeviceSet.serialInterrupt, $0) }
        let power = devices.power(memory: memory) { machine.setInterruptLine(DeviceSet.systemControlInterrupt, $0) }
        let channel = try guest.streams.map { try devices.channel($0, memory: memory, doorbell: serial) }
        let vcpus = try makeVCPUs(
            machine, kvm: kvm, options: options, hasDeadlineTimer: kvm.value(of: .deadlineTimer) != 0)
        for vcpu in vcpus { try vcpu.connectLocalInterrupts() }
        try vcpus[0].enter(kernel.entry)
        let faultTraps = try makeFaultTraps(options, kvm: kvm, machine: machine, vcpus: vcpus)
        let parts = try makeParts(
            memory: memory, kvm: kvm, options: options, devices: devices, vcpus: vcpus,
            ports: devices.common + [devices.attachment(of: serial)] + power,
            mmio: channel.map { [$0.attachment] } ?? [], firmwarePort: nil, hasInterruptControllers: true)
        return MachineAssembly(
            parts: parts, trap: .none, faultTraps: faultTraps, vcpus: vcpus, serial: serial,
            receiver: channel?.input ?? serial, inputBell: devices.inputBell)
    }

    // MARK: What all guests have

    private static func makeVirtualMachine(kvm: KVM, memory: GuestMemory) throws(KVMError) -> VirtualMachine {
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        try machine.setRealModePages()
        try machine.reportEmulationFailures()
        return machine
    }

    /// The vCPUs, of which all but the first wait until they are started, and their CPUID tables.
    private static func makeVCPUs(
        _ machine: VirtualMachine, kvm: KVM, options: MachineOptions, hasDeadlineTimer: Bool = false
    ) throws(KVMError) -> [VCPU] {
        let supported = try kvm.supportedCPUID()
        let topology = CPUTopology(coreCount: options.cpuCount)
        var vcpus: [VCPU] = []
        for number in 0..<options.cpuCount {
            let vcpu = try machine.makeVCPU(id: UInt32(number))
            try vcpu.setCPUID(
                .guest(
                    supported: supported, apicID: vcpu.id, topology: topology, hasDeadlineTimer: hasDeadlineTimer))
            vcpus.append(vcpu)
        }
        return vcpus
    }

    private static func makeParts(
        memory: GuestMemory, kvm: KVM, options: MachineOptions, devices: DeviceSet, vcpus: [VCPU],
        ports: [PortAttachment], mmio: [MMIOAttachment] = [], firmwarePort: UInt8?, hasInterruptControllers: Bool
    ) throws -> MachineParts {
        let kernelExits = options.reportsKernelExits ? try KernelExits(of: vcpus) : nil
        if options.reportsKernelExits, kernelExits == nil { throw KVMError.missingCapability(.binaryStatistics) }
        return MachineParts(
            memory: memory,
            ports: try PortBus(ports),
            mmio: try MMIOBus(mmio),
            counters: ExitCounterTable(vcpuCount: options.cpuCount),
            leaves: options.leaves,
            kernelExits: kernelExits,
            control: devices.control,
            console: devices.console,
            syncRegisters: UInt64(kvm.value(of: .syncRegisters)),
            firmwarePort: firmwarePort,
            hasInterruptControllers: hasInterruptControllers,
            pinnedCPUs: options.pinnedCPUs,
            recording: options.recording
        )
    }
}
