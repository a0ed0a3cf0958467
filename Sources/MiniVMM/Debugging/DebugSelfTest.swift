import Boot
import KVM
import Memory

/// What a debugger can use on this host for a guest in ring 0, found out by trying.
package struct DebugSupport: Hashable, Sendable {
    /// Debug registers stop the guest at instructions.
    package var breakpoints: Bool
    /// Debug registers stop the guest at accesses to memory.
    package var watchpoints: Bool
    /// INT3 stops the guest, and does not reach it (KVM_GUESTDBG_USE_SW_BP).
    package var softwareBreakpoints: Bool
    /// An OUT in place of an instruction stops the guest.
    package var patches: Bool
    /// The guest stops after every instruction.
    package var steps: Bool

    /// The given findings.
    package init(
        breakpoints: Bool, watchpoints: Bool, softwareBreakpoints: Bool = false, patches: Bool = false, steps: Bool
    ) {
        self.breakpoints = breakpoints
        self.watchpoints = watchpoints
        self.softwareBreakpoints = softwareBreakpoints
        self.patches = patches
        self.steps = steps
    }
}

extension KVM {
    /// What a debugger can use on this host for code in ring 0.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when not even a throw-away machine can be made.
    package func debugSupport() throws -> DebugSupport {
        try SelfTests(self).debugSupport()
    }
}

/// Runs a few instructions on a vCPU of ``SelfTests``.
struct DebugSelfTest {
    private let memory: GuestMemory
    private let vcpu: VCPU

    /// Where the code starts. The rest of the memory is zero.
    private static let codeAddress: UInt64 = 0x100
    /// What the code writes to.
    private static let variable: UInt64 = 0x200
    /// Where the handler of vector 3 is: a HLT, should INT3 reach the guest.
    private static let handler: UInt64 = 0x180
    private static let hlt: UInt8 = 0xf4
    /// The vector of INT3.
    private static let breakpointVector: UInt64 = 3

    init(_ vcpu: VCPU) {
        memory = vcpu.owner.memory
        self.vcpu = vcpu
    }

    private func exit(of code: [UInt8], _ plan: VCPU.DebugPlan) throws -> Exit {
        try memory.store(UInt32(Self.handler), at: GuestPhysicalAddress(Self.breakpointVector * 4))
        try memory.write([Self.hlt], at: GuestPhysicalAddress(Self.handler))
        try memory.write(code, at: GuestPhysicalAddress(Self.codeAddress))
        let start = SegmentedAddress(segment: 0, offset: UInt16(Self.codeAddress))
        try vcpu.enter(.real(at: start, stackPointer: GuestMemory.pageSize - 16))
        try vcpu.setGuestDebug(.off, plan)
        try vcpu.enterThroughSignals()
        return Exit(of: vcpu)
    }

    func watchpointsWork() throws -> Bool {
        var plan = VCPU.DebugPlan()
        plan.points = [DebugPoint(.write, at: Self.variable)]
        let code: [UInt8] = [
            0xa2, 0x00, 0x02,  // mov [0x200], al
            0x90,  // nop
            Self.hlt,
        ]
        guard case .debug(let pc, let dr6) = try exit(of: code, plan) else { return false }
        return dr6 & DebugRegisters.hits == 1 && pc == Self.codeAddress + 3
    }

    func softwareBreakpointsWork() throws -> Bool {
        var plan = VCPU.DebugPlan()
        plan.takesSoftwareBreakpoints = true
        let code: [UInt8] = [
            0xcc,  // int3
            Self.hlt,
        ]
        guard case .debug(let pc, _) = try exit(of: code, plan) else { return false }
        return vcpu.isBreakpointException && pc == Self.codeAddress
    }
}
