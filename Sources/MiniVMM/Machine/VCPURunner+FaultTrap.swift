import CKVM

/// The CPUID of programs, which the fault trap brings out.
extension VCPURunner {
    /// Services an OUT to the port of whichever trap is on.
    ///
    /// - Returns: nil when the OUT is the guest's own.
    func servicePatchPort() throws(KVMError) -> Service? {
        try faultTrap == nil ? servicePatchedSite() : serviceHandler()
    }

    /// Services an exit at the guest's #GP handler.
    ///
    /// - Returns: nil when the exit is not the fault trap's.
    func serviceHandler() throws(KVMError) -> Service? {
        guard let faultTrap else { return nil }
        var general = try registers.general()
        var special = try registers.special()
        switch faultTrap.verdict(general, special) {
        case .notOurs:
            return nil
        case .cpuid(let interrupted):
            counters.begin(.cpuid)
            try responder.answer(&general)
            faultTrap.resume(interrupted, &general, &special)
            // Where RIP was at the OUT, KVM would skip it; but RIP is elsewhere then, and KVM leaves it alone.
            try registers.setSpecial(special)
            try registers.setGeneral(general)
            return .booked(.cpuid)
        case .genuine:
            faultTrap.goOn(&general)
            try registers.setGeneral(general)
            return .ownDoing
        }
    }

    /// Lets the fault trap look after itself.
    func follow(_ faultTrap: FaultTrap) throws(KVMError) {
        faultTrap.follow(registers.hasSpecial ? try registers.special() : nil)
        registers.wantSpecial(faultTrap.wantsSpecialRegisters)
        guard faultTrap.breakpoint != breakpoint else { return }
        breakpoint = faultTrap.breakpoint
        try vcpu.setGuestDebug(guestDebug)
    }

    /// What KVM's debugging is to be set to.
    var guestDebug: VCPU.GuestDebug {
        breakpoint.map { .breakpoints([$0]) } ?? trap.guestDebug
    }
}
