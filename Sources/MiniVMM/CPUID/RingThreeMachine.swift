import CKVM

/// A machine around a ``RingThreeSandbox``: one vCPU, with the fault trap on, in the run loop that other guests have.
struct RingThreeMachine {
    let parts: MachineParts
    private let runner: VCPURunner

    /// Makes the machine. A write to the exit port ends its run.
    ///
    /// - Parameters:
    ///   - mechanism: What makes the handler exit.
    ///   - prepare: Changes memory or the vCPU's state before the run.
    init(
        kvm: KVM, sandbox: RingThreeSandbox, mechanism: FaultTrap.Mechanism,
        prepare: (GuestMemory, VCPU) throws -> Void = { _, _ in }
    ) throws {
        let machine = try VirtualMachine(kvm: kvm, memory: sandbox.memory)
        try machine.setRealModePages()
        try machine.interceptMSR(ModelSpecificRegister.miscFeaturesEnables)
        let vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
        _ = try vcpu.setMSR(ModelSpecificRegister.miscFeaturesEnables, ModelSpecificRegister.cpuidFaulting)
        try sandbox.enter(vcpu)
        try prepare(sandbox.memory, vcpu)

        let control = RunControl()
        let exit = ExitPort { control.stop(.exitPort($0)) }
        parts = MachineParts(
            memory: sandbox.memory,
            ports: try PortBus([PortAttachment(exit, named: "exit port", at: PortMap.exit...PortMap.exit)]),
            mmio: try MMIOBus([]),
            counters: ExitCounterTable(vcpuCount: 1),
            leaves: .f22,
            kernelExits: nil,
            control: control,
            console: try ConsoleOutput(descriptor: -1, shouldGiveUp: { true }, onFailure: { _ in }),
            syncRegisters: UInt64(kvm.value(of: .syncRegisters)),
            firmwarePort: nil
        )
        let trap = FaultTrap(memory: sandbox.memory, mechanism: mechanism)
        runner = VCPURunner(vcpu: vcpu, index: 0, machine: parts, trap: .none, faultTrap: trap)
    }

    /// Runs the guest, once, until it ends or the time is up.
    ///
    /// - Throws: ``KVMError`` when the system refuses a thread.
    func run(timeout: Duration) throws(KVMError) -> RunEnding {
        let handler = ckvm_install_kick_handler()
        guard handler >= 0 else { throw .failed("sigaction", handler) }
        let ended = try EndSignal(count: 1)
        let thread = try PosixThread(name: "vcpu 0") {
            runner.run()
            ended.give()
        }
        if !ended.wait(timeout: timeout) { parts.control.stop(.timeout) }
        thread.join()
        return parts.control.ending ?? .stopped
    }
}
