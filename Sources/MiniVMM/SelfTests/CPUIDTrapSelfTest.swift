import Boot
import CKVM
public import Counters
import KVM
import Memory

/// Finds out which trap mechanisms work, by running a few instructions in a throw-away virtual machine.
///
/// KVM's capabilities do not tell: only trying does.
final class CPUIDTrapSelfTest {
    private let memory: GuestMemory
    private let vcpu: VCPU

    /// Where the code starts. The rest of the memory is zero.
    private static let codeAddress: UInt64 = 0x100
    private static let firstPort: UInt8 = 0xe0
    private static let secondPort: UInt8 = 0xe1
    /// What the test sets AL to at an OUT, to see it in the next one.
    private static let probe: UInt64 = 0x5a

    private static let nop: UInt8 = 0x90
    private static let hlt: UInt8 = 0xf4
    private static let outImmediate: UInt8 = 0xe6

    private init(_ vcpu: VCPU) {
        memory = vcpu.owner.memory
        self.vcpu = vcpu
    }

    /// Tries all mechanisms, on a vCPU of ``SelfTests``.
    static func run(on vcpu: VCPU) -> CPUIDTrapSupport {
        let test = CPUIDTrapSelfTest(vcpu)
        // A mechanism whose ioctl fails does not work.
        return CPUIDTrapSupport(
            debug: (try? test.debugRegistersWork()) ?? false,
            patch: (try? test.patchWorks()) ?? false,
            step: (try? test.singleStepWorks()) ?? false
        )
    }

    /// Puts the vCPU in front of the given code, in real mode.
    private func load(_ code: [UInt8]) throws {
        try memory.write(code, at: GuestPhysicalAddress(Self.codeAddress))
        let start = SegmentedAddress(segment: 0, offset: UInt16(Self.codeAddress))
        try vcpu.enter(.real(at: start, stackPointer: 0))
    }

    /// Enters the guest once.
    private func nextExit() throws -> Exit {
        let result = vcpu.enter()
        guard result == 0 else { throw KVMError.failed("KVM_RUN", result) }
        return Exit(of: vcpu)
    }

    private func debugRegistersWork() throws -> Bool {
        try load([Self.nop, Self.nop, Self.hlt])
        let address = Self.codeAddress + 1
        try vcpu.setGuestDebug(.breakpoints([address]))
        let exit = try nextExit()
        try vcpu.setGuestDebug(.off)
        if case .debug(let pc, _) = exit { return pc == address }
        return false
    }

    private func singleStepWorks() throws -> Bool {
        try load([Self.nop, Self.nop, Self.hlt])
        try vcpu.setGuestDebug(.singleStep)
        let exit = try nextExit()
        try vcpu.setGuestDebug(.off)
        if case .debug(let pc, _) = exit { return pc == Self.codeAddress + 1 }
        return false
    }

    private func patchWorks() throws -> Bool {
        try load([Self.outImmediate, Self.firstPort, Self.outImmediate, Self.secondPort, Self.hlt])
        guard case .portOut(let first) = try nextExit(), first.port == UInt16(Self.firstPort) else { return false }
        var registers = try vcpu.registers()
        registers.rax = Self.probe
        try vcpu.setRegisters(registers)
        guard case .portOut(let second) = try nextExit(), second.port == UInt16(Self.secondPort) else { return false }
        let seen = UInt64(second.item(0))
        try vcpu.finishInstruction()
        return seen == Self.probe
    }
}

/// Which trap mechanisms work on this host for a guest in ring 0, found out by trying them.
public struct CPUIDTrapSupport: Hashable, Sendable {
    /// Debug registers stop the guest (KVM_GUESTDBG_USE_HW_BP).
    public let debug: Bool
    /// An OUT exits, and the registers set at the exit are the guest's afterwards.
    public let patch: Bool
    /// Single-stepping stops after each instruction (KVM_GUESTDBG_SINGLESTEP).
    public let step: Bool

    /// The given findings.
    public init(debug: Bool, patch: Bool, step: Bool) {
        self.debug = debug
        self.patch = patch
        self.step = step
    }

    /// Whether a mechanism works.
    public func includes(_ trap: CPUIDTrap) -> Bool {
        switch trap {
        case .debug: debug
        case .patch: patch
        case .step: step
        case .fault: false
        case .auto, .none: true
        }
    }

    /// What `auto` stands for with the given number of sites.
    ///
    /// Debug registers come first because they leave the guest's memory alone, so that a site that is data after all
    /// costs nothing.
    public func choice(siteCount: Int) -> CPUIDTrap {
        choice(siteCount: siteCount, hasDebugger: false)
    }

    /// The same where there may be a debugger, which has the debug registers and the single steps for itself.
    package func choice(siteCount: Int, hasDebugger: Bool) -> CPUIDTrap {
        if siteCount == 0 { return .none }
        if debug && siteCount <= DebugRegisters.breakpointCount && !hasDebugger { return .debug }
        if patch { return .patch }
        return step && !hasDebugger ? .step : .none
    }
}
