import CKVM

@testable import MiniVMM

/// A program at privilege level 3, run by the run loop with the fault trap on, and what came of it.
struct RingThreeRun {
    let ending: RunEnding
    let counters: ExitCounters
    let memory: GuestMemory
    private let table: ExitCounterTable

    /// Where programs leave numbers.
    static let results: UInt64 = 0xa000
    /// An address without memory, which programs touch to exit.
    static let mmio: UInt32 = 0x0010_0000

    /// - Parameters:
    ///   - handler: What follows the handler's first instructions is up to the test; port 0xF4 ends the run.
    ///   - prepare: Changes memory or the vCPU's state before the run.
    init(
        program: [UInt8],
        handler: [UInt8],
        byDebugRegister: Bool = false,
        prepare: (GuestMemory, VCPU) throws -> Void = { _, _ in }
    ) throws {
        let kvm = try TestKVM.shared()
        let sandbox = try RingThreeSandbox(program: program, handler: handler)
        let machine = try VirtualMachine(kvm: kvm, memory: sandbox.memory)
        try machine.setRealModePages()
        try machine.interceptMSR(ModelSpecificRegister.miscFeaturesEnables)
        let vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: 0))
        _ = try vcpu.setMSR(ModelSpecificRegister.miscFeaturesEnables, ModelSpecificRegister.cpuidFaulting)
        try sandbox.enter(vcpu)
        try prepare(sandbox.memory, vcpu)

        let control = RunControl()
        let exit = ExitPort { control.stop(.exitPort($0)) }
        table = ExitCounterTable(vcpuCount: 1)
        let parts = MachineParts(
            memory: sandbox.memory,
            ports: try PortBus([PortAttachment(exit, named: "exit port", at: PortMap.exit...PortMap.exit)]),
            mmio: try MMIOBus([]),
            counters: table,
            leaves: .f22,
            kernelExits: nil,
            control: control,
            console: try ConsoleOutput(descriptor: -1, shouldGiveUp: { true }, onFailure: { _ in }),
            syncRegisters: UInt64(kvm.value(of: .syncRegisters)),
            firmwarePort: nil
        )
        let patches = HandlerPatches(memory: sandbox.memory, port: SiteTrap.candidatePorts[0])
        let trap = FaultTrap(memory: sandbox.memory, mechanism: byDebugRegister ? .debugRegister : .patch(patches))
        let runner = VCPURunner(vcpu: vcpu, index: 0, machine: parts, trap: .none, faultTrap: trap)
        _ = ckvm_install_kick_handler()
        let ended = try EndSignal(count: 1)
        let thread = try PosixThread(name: "vcpu 0") {
            runner.run()
            ended.give()
        }
        if !ended.wait(timeout: .seconds(GuestRun.limit)) { control.stop(.timeout) }
        thread.join()
        ending = control.ending ?? .stopped
        counters = table.counters(of: 0)
        memory = sandbox.memory
    }

    /// A number that the program or the handler left in memory.
    func number(_ index: UInt64) throws -> UInt64 {
        try memory.load(UInt64.self, at: GuestPhysicalAddress(Self.results + index * 8))
    }
}
