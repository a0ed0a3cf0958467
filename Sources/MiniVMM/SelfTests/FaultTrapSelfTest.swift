import CKVM
import KVM

/// Finds out whether the fault trap works: whether a CPUID at privilege level 3 raises #GP once CPUID faulting is on.
enum FaultTrapSelfTest {
    private static let port: UInt8 = 0xe0
    /// CPUID; HLT. At level 3 the HLT raises #GP too, in case the CPUID does not.
    private static let program: [UInt8] = CPUIDSites.opcode + [0xf4]
    /// OUT imm8, AL; HLT.
    private static let handler: [UInt8] = [SiteTrap.outImmediate, port, 0xf4]

    /// Tries it, in a throw-away virtual machine.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    static func run(kvm: KVM) throws -> Bool {
        guard kvm.value(of: .userSpaceMSR) > 0, kvm.value(of: .msrFilter) > 0 else { return false }
        let sandbox = try RingThreeSandbox(program: program, handler: handler)
        let machine = try VirtualMachine(kvm: kvm, memory: sandbox.memory)
        try machine.setRealModePages()
        let vcpu = try machine.makeVCPU(id: 0)
        try vcpu.setCPUID(.guest(supported: kvm.supportedCPUID(), apicID: vcpu.id))
        guard try vcpu.setMSR(ModelSpecificRegister.miscFeaturesEnables, ModelSpecificRegister.cpuidFaulting) else {
            return false
        }
        try sandbox.enter(vcpu)
        guard vcpu.enter() == 0, case .portOut(let access) = Exit(of: vcpu), access.port == UInt16(port) else {
            return false
        }
        let registers = try vcpu.registers()
        let special = try vcpu.specialRegisters()
        let walk = special.pageWalk
        let frame = ExceptionFrame(at: registers.rsp, walk: walk, memory: sandbox.memory)
        return frame?.rip == RingThreeSandbox.program
    }
}
