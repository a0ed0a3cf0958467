import Counters
package import KVM
package import Memory

/// What a debugger looks at and changes, while all vCPUs are parked.
extension Machine {
    /// The guest's memory.
    package var guestMemory: GuestMemory { parts.memory }

    /// How many vCPUs there are.
    package var vcpuCount: Int { runners.count }

    /// What works on this host.
    ///
    /// - Throws: `KVMError` or `GuestMemoryError` when it cannot be found out.
    package func debugSupport() throws -> DebugSupport { try kvm.debugSupport() }

    /// A vCPU's registers.
    ///
    /// - Throws: `KVMError`.
    package func registers(ofVCPU index: Int) throws(KVMError) -> VCPURegisters {
        let vcpu = runners[index].vcpu
        return VCPURegisters(
            general: try vcpu.registers(), special: try vcpu.specialRegisters(),
            floatingPoint: try vcpu.floatingPointState())
    }

    /// Sets a vCPU's registers, as far as they differ from what they were.
    ///
    /// - Throws: `KVMError`.
    package func setRegisters(
        _ registers: VCPURegisters, from old: VCPURegisters, ofVCPU index: Int
    ) throws(KVMError) {
        let runner = runners[index]
        if registers.special != old.special { try runner.registers.setSpecialNow(registers.special) }
        if registers.general != old.general { try runner.registers.setGeneralNow(registers.general) }
        if registers.floatingPoint != old.floatingPoint {
            try runner.vcpu.setFloatingPointState(registers.floatingPoint)
        }
    }

    /// What a vCPU waits for, or nil where that is KVM's secret.
    package func waitState(ofVCPU index: Int) -> VCPUWaitState? {
        guard parts.hasInterruptControllers else { return nil }
        return try? runners[index].vcpu.waitState()
    }
}

/// A vCPU's registers.
package struct VCPURegisters: Hashable, Sendable {
    /// The general registers, RIP and RFLAGS.
    package var general: GeneralRegisters
    /// The segment and control registers.
    package var special: SpecialRegisters
    /// The x87 and SSE registers.
    package var floatingPoint: FloatingPointState

    /// The given registers.
    package init(general: GeneralRegisters, special: SpecialRegisters, floatingPoint: FloatingPointState) {
        self.general = general
        self.special = special
        self.floatingPoint = floatingPoint
    }
}
