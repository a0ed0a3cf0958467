import CKVM
import Counters
import KVM

/// What the fault trap makes of exits.
extension FaultTrap: ExitInterceptor {
    var wantedRegisters: SynchronizedRegisters.Demand { .all }

    @inline(__always)
    func portOut(_ access: PortAccess, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        // -1 where there is no port: one comparison.
        Int32(access.port) == portNumber ? try serviceHandler(runner) : nil
    }

    func rare(_ exit: Exit, _ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        switch exit {
        case .debug(let pc, _):
            return pc == runner.breakpoint ? try serviceHandler(runner) : nil
        case .rdmsr(ModelSpecificRegister.miscFeaturesEnables):
            runner.counters.begin(.rdmsr)
            runner.vcpu.answerMSR(guestFeatures)
            return .booked(.rdmsr)
        case .wrmsr(ModelSpecificRegister.miscFeaturesEnables, let value):
            runner.counters.begin(.wrmsr)
            runner.vcpu.answerMSR(writeFeatures(value) ? 0 : nil)
            return .booked(.wrmsr)
        default:
            return nil
        }
    }

    /// Lets the trap look after itself.
    func follow(_ runner: VCPURunner) throws(KVMError) {
        follow(runner.registers.hasSpecial ? try runner.registers.special() : nil)
        try runner.registers.wantSpecial(wantsSpecialRegisters)
        guard breakpoint != runner.breakpoint else { return }
        try runner.setGuestDebug(breakpoint.map { .breakpoints([$0]) } ?? .off)
    }

    /// Services an exit at the guest's #GP handler.
    ///
    /// - Returns: nil when the exit is not the trap's.
    @inline(never)
    private func serviceHandler(_ runner: VCPURunner) throws(KVMError) -> VCPURunner.Service? {
        var general = try runner.registers.general()
        // For the next exits as well, unless this is not the trap's: then that is taken back when it follows the guest.
        try runner.registers.wantSpecial(true)
        var special = try runner.registers.special()
        switch verdict(general, special) {
        case .notOurs:
            return nil
        case .cpuid(let interrupted):
            runner.counters.begin(.cpuid)
            try runner.responder.answer(&general, at: interrupted.frame.rip)
            // Where RIP was at the OUT, KVM would skip it; but RIP is elsewhere then, and KVM leaves it alone.
            if resume(interrupted, &general, &special) {
                if general.rflags & RegisterBits.rflagsTrap == 0 {
                    try runner.registers.setSpecial(special)
                } else {
                    // At once, for the sake of the #DB that is raised after it.
                    try runner.vcpu.setSpecialRegisters(special)
                }
            }
            try runner.setAfterInstruction(general)
            return .booked(.cpuid)
        case .genuine:
            goOn(&general)
            try runner.registers.setGeneral(general)
            return .ownDoing
        }
    }
}
