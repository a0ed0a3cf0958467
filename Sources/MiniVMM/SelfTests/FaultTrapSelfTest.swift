import CKVM
import KVM

/// What this host has for the fault trap.
struct FaultTrapSupport: Hashable, Sendable {
    /// Whether a CPUID at privilege level 3 raises #GP once CPUID faulting is on.
    var works = false
    /// Whether an IRETQ at privilege level 0 goes back to the program. KVM's emulator does not know it.
    var hasInterruptReturn = false
}

/// Finds out whether the fault trap works, and how programs go on after it.
enum FaultTrapSelfTest {
    private static let port: UInt8 = 0xe0
    /// CPUID; HLT. At level 3 the HLT raises #GP too, in case the CPUID does not.
    private static let program: [UInt8] = CPUIDSites.opcode + [0xf4]
    /// OUT imm8, AL; HLT; IRETQ.
    private static let handler: [UInt8] = [SiteTrap.outImmediate, port, 0xf4, 0x48, 0xcf]
    private static let interruptReturn = RingThreeSandbox.handler + 3

    /// Tries it, on a vCPU of ``SelfTests``.
    ///
    /// - Throws: `KVMError` when an ioctl fails.
    static func run(on vcpu: VCPU) throws -> FaultTrapSupport {
        let sandbox = try RingThreeSandbox(program: program, handler: handler, in: vcpu.owner.memory)
        guard try vcpu.setMSR(ModelSpecificRegister.miscFeaturesEnables, ModelSpecificRegister.cpuidFaulting) else {
            return FaultTrapSupport()
        }
        try sandbox.enter(vcpu)
        guard let frame = try nextFrame(vcpu, sandbox), frame.rip == RingThreeSandbox.program else {
            return FaultTrapSupport()
        }
        // Back to the HLT after the CPUID, which is the next to raise #GP.
        let end = RingThreeSandbox.program + UInt64(CPUIDSites.opcode.count)
        frame.write(rip: end, rflags: frame.rflags & ~RegisterBits.rflagsResume, to: sandbox.memory)
        var registers = try vcpu.registers()
        registers.rip = interruptReturn
        registers.rsp &+= 8
        try vcpu.setRegisters(registers)
        return FaultTrapSupport(works: true, hasInterruptReturn: try nextFrame(vcpu, sandbox)?.rip == end)
    }

    /// Enters the guest, and returns the frame with which its handler exits; nil when something else happens.
    private static func nextFrame(_ vcpu: VCPU, _ sandbox: RingThreeSandbox) throws -> ExceptionFrame? {
        guard vcpu.enter() == 0, case .portOut(let access) = Exit(of: vcpu), access.port == UInt16(port) else {
            return nil
        }
        let walk = try vcpu.specialRegisters().pageWalk
        return try ExceptionFrame(at: vcpu.registers().rsp, walk: walk, memory: sandbox.memory)
    }
}
