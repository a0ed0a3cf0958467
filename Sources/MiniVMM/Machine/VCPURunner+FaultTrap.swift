import CKVM

/// The CPUID of programs, which the fault trap brings out.
extension VCPURunner {
    /// Services an OUT to the port of whichever trap is on.
    ///
    /// - Returns: nil when the OUT is the guest's own.
    func servicePatchPort() throws(KVMError) -> Service? {
        guard let faultTrap else { return try servicePatchedSite() }
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
    @inline(__always)
    func follow(_ faultTrap: FaultTrap) throws(KVMError) {
        faultTrap.follow(registers.hasSpecial ? try registers.special() : nil)
        registers.wantSpecial(faultTrap.wantsSpecialRegisters)
    }
}
