import CKVM

/// CPUID instructions that a site trap brings out.
extension VCPURunner {
    /// Switches the trap on, before the first entry. Code patches were written when the guest was loaded.
    func startTrap() throws(KVMError) {
        guard trap.guestDebug != .off else { return }
        try vcpu.setGuestDebug(trap.guestDebug)
        // No step leads to the first instruction.
        if trap.mechanism == .step { try serviceCPUIDsAtInstructionPointer() }
    }

    /// Services a debug exit.
    func serviceDebug(pc: UInt64) throws(KVMError) -> Service {
        switch trap.mechanism {
        case .debug where trap.sites.contains(pc):
            counters.begin(.cpuid)
            var registers = try vcpu.registers()
            try answer(&registers, skipping: CPUIDSites.opcode.count)
            return .booked(.cpuid)
        case .step:
            // The step led to a CPUID: it is that instruction's exit. Else it is nothing but a step.
            return try serviceCPUIDAtInstructionPointer() ? .booked(.cpuid) : .ownDoing
        default:
            // A #DB of the guest's own, which KVM brings out while debug registers are ours: give it back.
            counters.begin(.debug)
            try vcpu.injectDebugException(keeping: trap.guestDebug)
            return .booked(.debug)
        }
    }

    /// Services an OUT to the patch's port, if it stands at a site.
    ///
    /// - Returns: nil when the OUT is the guest's own.
    func servicePatchedSite() throws(KVMError) -> Service? {
        var registers = try vcpu.registers()
        let special = try vcpu.specialRegisters()
        guard isAtPatchedSite(registers, special) else { return nil }
        counters.begin(.cpuid)
        // RIP stays as it is: where it is still at the OUT, KVM skips the OUT at the next KVM_RUN.
        try answer(&registers, skipping: 0)
        return .booked(.cpuid)
    }

    /// Whether an OUT that just exited stands at a site. RIP is after it when KVM's emulator ran it, else at it.
    private func isAtPatchedSite(_ registers: kvm_regs, _ special: kvm_sregs) -> Bool {
        let linear = LinearAddress.instructionPointer(registers, special)
        let walk = PageWalk(cr0: special.cr0, cr3: special.cr3, cr4: special.cr4, efer: special.efer)
        if let after = walk.translate(linear &- UInt64(trap.patchBytes.count), in: machine.memory),
            trap.sites.contains(after.rawValue)
        {
            return true
        }
        // Prefixes of the CPUID are now the OUT's.
        let code = walk.bytes(at: linear, count: InstructionPrefixes.longestInstruction, in: machine.memory)
        let prefixes = InstructionPrefixes.count(in: code, is64Bit: LinearAddress.isCode64Bit(special))
        guard let at = walk.translate(linear &+ UInt64(prefixes), in: machine.memory) else { return false }
        return trap.sites.contains(at.rawValue)
    }

    /// After an exit in single-step mode: lets KVM finish the instruction, and services the CPUIDs that follow it.
    ///
    /// A step over an instruction that exits is reported as that exit alone, so the instruction after it would run
    /// before the next step is reported.
    ///
    /// - Returns: Whether the guest goes on.
    func finishStep() throws(KVMError) -> Bool {
        while true {
            vcpu.requestImmediateExit()
            let result = vcpu.enter()
            serviceStart = ckvm_rdtsc()
            guard result == 0 else {
                guard try shouldReenter(after: result) else { return false }
                counters.bookInternal(cycles: ckvm_rdtsc() &- serviceStart)
                try serviceCPUIDsAtInstructionPointer()
                return !machine.control.isStopping
            }
            // Another exit of the same instruction, or the step's own. Should this clear a kick along with our own
            // request, the next turn finds that the run is stopping.
            vcpu.clearImmediateExit()
            guard settle(try service(Exit(of: vcpu))) else { return false }
        }
    }

    /// Services CPUIDs for as long as one is next. Each is booked as an exit of its own, as it would be with any trap.
    private func serviceCPUIDsAtInstructionPointer() throws(KVMError) {
        while !machine.control.isStopping {
            serviceStart = ckvm_rdtsc()
            guard try serviceCPUIDAtInstructionPointer() else { return }
            _ = settle(.booked(.cpuid))
        }
    }

    /// Services the instruction that is next, if it is CPUID, and skips it.
    private func serviceCPUIDAtInstructionPointer() throws(KVMError) -> Bool {
        var registers = try vcpu.registers()
        let special = try vcpu.specialRegisters()
        let walk = PageWalk(cr0: special.cr0, cr3: special.cr3, cr4: special.cr4, efer: special.efer)
        let linear = LinearAddress.instructionPointer(registers, special)
        let code = walk.bytes(at: linear, count: InstructionPrefixes.longestInstruction, in: machine.memory)
        let prefixes = InstructionPrefixes.count(in: code, is64Bit: LinearAddress.isCode64Bit(special))
        guard code.dropFirst(prefixes).starts(with: CPUIDSites.opcode) else { return false }
        counters.begin(.cpuid)
        try answer(&registers, skipping: prefixes + CPUIDSites.opcode.count)
        return true
    }

    /// Answers the CPUID that the registers ask for and moves the instruction pointer on.
    private func answer(_ registers: inout kvm_regs, skipping count: Int) throws(KVMError) {
        try responder.answer(&registers)
        registers.rip = registers.rip &+ UInt64(count)
        try vcpu.setRegisters(registers)
    }
}
