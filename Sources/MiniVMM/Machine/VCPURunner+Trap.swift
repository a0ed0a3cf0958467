import CKVM

/// CPUID instructions that a site trap brings out.
extension VCPURunner {
    /// Switches the trap on, before the first entry. Code patches were written when the guest was loaded.
    func startTrap() throws(KVMError) {
        guard trap.guestDebug != .off else { return }
        try vcpu.setGuestDebug(trap.guestDebug)
        // No step leads to the first instruction.
        if trap.mechanism == .step {
            try serviceCPUIDsAtInstructionPointer()
            try vcpu.setGuestDebug(.singleStep)
        }
    }

    /// Services a debug exit.
    func serviceDebug(pc: UInt64) throws(KVMError) -> Service {
        switch trap.mechanism {
        case .debug where trap.sites.contains(pc):
            counters.begin(.cpuid)
            var answered = try registers.general()
            try responder.answer(&answered)
            answered.rip = answered.rip &+ UInt64(CPUIDSites.opcode.count)
            try registers.setGeneral(answered)
            return .booked(.cpuid)
        case .step:
            if steppedOverHalt(pc: pc) { return serviceRare(.hlt) }
            // The step led to a CPUID: it is that instruction's exit. Else it is nothing but a step.
            return try serviceNextInstruction() ? .booked(.cpuid) : .ownDoing
        case .none where pc == breakpoint:
            if let serviced = try serviceHandler() { return serviced }
            fallthrough
        default:
            // A #DB of the guest's own, which KVM brings out while debug registers are ours: give it back.
            counters.begin(.debug)
            try vcpu.injectDebugException(keeping: guestDebug)
            return .booked(.debug)
        }
    }

    /// Services an OUT to the patch's port, if it stands at a site.
    ///
    /// - Returns: nil when the OUT is the guest's own.
    func servicePatchedSite() throws(KVMError) -> Service? {
        var general = try registers.general()
        guard isAtPatchedSite(general, try registers.special()) else { return nil }
        counters.begin(.cpuid)
        try responder.answer(&general)
        // RIP stays as it is: where it is still at the OUT, KVM skips the OUT at the next KVM_RUN.
        try registers.setGeneral(general)
        return .booked(.cpuid)
    }

    /// Whether an OUT that just exited stands at a site. RIP is after it when KVM's emulator ran it, else at it.
    private func isAtPatchedSite(_ general: kvm_regs, _ special: kvm_sregs) -> Bool {
        let linear = LinearAddress.instructionPointer(general, special)
        let walk = PageWalk(cr0: special.cr0, cr3: special.cr3, cr4: special.cr4, efer: special.efer)
        if let after = walk.translate(linear &- UInt64(trap.patchBytes.count), in: machine.memory),
            trap.sites.contains(after.rawValue)
        {
            return true
        }
        // Prefixes of the CPUID are now the OUT's.
        let prefixes = InstructionWindow(at: linear, walk: walk, memory: machine.memory)
            .prefixCount(is64Bit: LinearAddress.isCode64Bit(special))
        guard let at = walk.translate(linear &+ UInt64(prefixes), in: machine.memory) else { return false }
        return trap.sites.contains(at.rawValue)
    }

    /// Goes on stepping after a KVM_RUN without an exit: a kick, or the start of a vCPU that waited for it.
    ///
    /// INIT resets the trap flag by which KVM steps, and no step leads to the first instruction after it.
    func resumeStepping() throws(KVMError) {
        try serviceCPUIDsAtInstructionPointer()
        try vcpu.setGuestDebug(trap.guestDebug)
    }

    /// After an exit in single-step mode: services the CPUIDs that follow it, and sets out for the next step.
    ///
    /// - Returns: Whether the guest goes on.
    func goOnStepping(after exit: Exit) throws(KVMError) -> Bool {
        if case .debug = exit {} else { guard try finishInstruction() else { return false } }
        try serviceCPUIDsAtInstructionPointer()
        // An instruction that KVM emulates loses the trap flag, and a changed instruction pointer is not the one that KVM
        // steps from: it has to be told before each step. Source: arch/x86/kvm/x86.c, __kvm_set_rflags().
        try vcpu.setGuestDebug(.singleStep)
        return !machine.control.isStopping
    }

    /// Lets KVM finish the instruction that has exited.
    ///
    /// A step over an instruction that exits is reported as that exit alone, so the instruction after it would run
    /// before the next step is reported.
    ///
    /// - Returns: Whether the guest goes on.
    private func finishInstruction() throws(KVMError) -> Bool {
        while true {
            vcpu.requestImmediateExit()
            let result = vcpu.enter()
            serviceStart = ckvm_rdtsc()
            guard result == 0 else {
                guard try shouldReenter(after: result) else { return false }
                counters.bookInternal(cycles: ckvm_rdtsc() &- serviceStart)
                return true
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
            guard try serviceNextInstruction() else { return }
            _ = settle(.booked(.cpuid))
        }
    }

    /// Looks at the instruction that is next: a CPUID is serviced and skipped, a HLT remembered.
    ///
    /// - Returns: Whether it was a CPUID.
    private func serviceNextInstruction() throws(KVMError) -> Bool {
        var general = try registers.general()
        let special = try registers.special()
        let walk = PageWalk(cr0: special.cr0, cr3: special.cr3, cr4: special.cr4, efer: special.efer)
        let linear = LinearAddress.instructionPointer(general, special)
        let window = InstructionWindow(at: linear, walk: walk, memory: machine.memory)
        let prefixes = window.prefixCount(is64Bit: LinearAddress.isCode64Bit(special))
        haltEnd = window[prefixes] == Self.hlt ? linear &+ UInt64(prefixes) &+ 1 : nil
        guard window[prefixes] == CPUIDSites.opcode[0], window[prefixes &+ 1] == CPUIDSites.opcode[1] else {
            return false
        }
        counters.begin(.cpuid)
        try responder.answer(&general)
        general.rip = general.rip &+ UInt64(prefixes &+ CPUIDSites.opcode.count)
        try registers.setGeneralNow(general)
        return true
    }

    /// The opcode of HLT. Source: Intel SDM, volume 2.
    private static let hlt: UInt8 = 0xf4

    /// Whether a step led over a HLT. Where KVM's emulator ran it, the step is reported and the HLT is not.
    private func steppedOverHalt(pc: UInt64) -> Bool {
        defer { haltEnd = nil }
        // With interrupt controllers the vCPU now waits in KVM for an interrupt, as it would without single-stepping.
        return pc == haltEnd && !machine.hasInterruptControllers
    }
}
