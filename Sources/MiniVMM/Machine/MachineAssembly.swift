import CKVM
import Logging

/// A machine that is being put together: what is common to all guests, and what each kind of guest adds.
struct MachineAssembly {
    let parts: MachineParts
    let trap: SiteTrap
    let vcpus: [VCPU]
    /// The first serial port, where the guest's console is.
    let serial: Serial16550
    /// What the serial port rings when it would take more input.
    let inputBell: Doorbell

    /// Puts a machine together for a flat guest: real mode, no interrupts.
    ///
    /// - Throws: A ``DiagnosticError``.
    static func flat(_ guest: FlatGuest, kvm: KVM, options: MachineOptions) throws -> MachineAssembly {
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
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        try machine.setRealModePages()
        try machine.reportEmulationFailures()

        let control = RunControl()
        let inputBell = try Doorbell()
        let devices = DeviceSet(
            control: control, consoleDescriptor: options.consoleDescriptor, inputBell: inputBell)
        let serial = devices.serial { _ in }
        let vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
        try guest.start(vcpu)
        let parts = MachineParts(
            memory: memory,
            ports: try PortBus(devices.common + [devices.attachment(of: serial)]),
            mmio: try MMIOBus([]),
            counters: ExitCounterTable(vcpuCount: 1),
            leaves: options.leaves,
            control: control,
            console: devices.console,
            syncRegisters: UInt64(kvm.value(of: .syncRegisters)),
            firmwarePort: FirmwareStubs.port
        )
        return MachineAssembly(parts: parts, trap: trap, vcpus: [vcpu], serial: serial, inputBell: inputBell)
    }

    /// Puts a machine together for a Linux guest: interrupt controllers and timer inside KVM, ACPI.
    ///
    /// - Throws: A ``DiagnosticError``.
    static func linux(_ guest: LinuxGuest, kvm: KVM, options: MachineOptions) throws -> MachineAssembly {
        try kvm.require(Capability.required + Capability.requiredForLinux)
        let (memory, kernel) = try guest.makeMemory(vcpuCount: 1)
        options.logger.info(
            "kernel loaded",
            metadata: [
                "entry": "\(Hex.number(kernel.entry.rip))", "mode": "\(kernel.entry.mode)",
                "kernel": "\(kernel.kernel)", "initrd": "\(kernel.initrd.map { "\($0)" } ?? "none")",
            ])
        let machine = try VirtualMachine(kvm: kvm, memory: memory)
        try machine.setRealModePages()
        try machine.reportEmulationFailures()
        try machine.createInterruptControllers()

        let control = RunControl()
        let inputBell = try Doorbell()
        let devices = DeviceSet(
            control: control, consoleDescriptor: options.consoleDescriptor, inputBell: inputBell)
        let serial = devices.serial { machine.setInterruptLine(DeviceSet.serialInterrupt, $0) }
        let power = devices.power(memory: memory) { machine.setInterruptLine(DeviceSet.systemControlInterrupt, $0) }
        let vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
        try vcpu.connectLocalInterrupts()
        try vcpu.enter(kernel.entry)
        let parts = MachineParts(
            memory: memory,
            ports: try PortBus(devices.common + [devices.attachment(of: serial)] + power),
            mmio: try MMIOBus([]),
            counters: ExitCounterTable(vcpuCount: 1),
            leaves: options.leaves,
            control: control,
            console: devices.console,
            syncRegisters: UInt64(kvm.value(of: .syncRegisters)),
            firmwarePort: nil
        )
        return MachineAssembly(parts: parts, trap: .none, vcpus: [vcpu], serial: serial, inputBell: inputBell)
    }
}

extension VCPU {
    /// Puts the vCPU in front of a kernel.
    fileprivate func enter(_ entry: EntryState) throws(KVMError) {
        var special = try specialRegisters()
        entry.apply(to: &special)
        try setSpecialRegisters(special)
        try setRegisters(entry.generalRegisters)
    }
}
