extension SiteTrap {
    /// The trap for a flat guest: what was asked for, or what works here and suffices.
    ///
    /// - Throws: ``SiteTrapError`` when what was asked for cannot be had; ``KVMError`` when the self-test cannot run.
    static func choose(for guest: FlatGuest, options: MachineOptions, kvm: KVM) throws -> SiteTrap {
        let sites =
            options.cpuidSites.map { CPUIDSites(addresses: $0) }
            ?? CPUIDSites(scanning: guest.image, loadedAt: guest.loadAddress)
        let mechanism = try mechanism(options.trap, siteCount: sites.addresses.count, kvm: kvm)
        switch mechanism {
        case .debug:
            guard sites.addresses.count <= DebugRegisters.breakpointCount else {
                throw SiteTrapError.tooManySites(count: sites.addresses.count)
            }
        case .patch:
            guard let port = freePort(in: guest.image) else { throw SiteTrapError.noFreePort }
            return SiteTrap(mechanism: mechanism, sites: sites, port: port)
        case .step, .fault, .none, .auto:
            break
        }
        return SiteTrap(mechanism: mechanism, sites: sites, port: 0)
    }

    /// The mechanism that was asked for, if it works here; for `auto` the best that does.
    private static func mechanism(_ asked: CPUIDTrap, siteCount: Int, kvm: KVM) throws -> CPUIDTrap {
        switch asked {
        case .none:
            return .none
        case .fault:
            throw SiteTrapError.notForFlatGuests(asked)
        case .auto:
            // A guest without CPUID needs no trap, and no self-test either.
            return siteCount == 0 ? .none : try kvm.trapSupport().choice(siteCount: siteCount)
        case .debug, .patch, .step:
            guard try kvm.trapSupport().includes(asked) else { throw SiteTrapError.notSupported(asked) }
            return asked
        }
    }
}
