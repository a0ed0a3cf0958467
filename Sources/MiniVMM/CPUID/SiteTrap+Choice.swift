extension SiteTrap {
    /// The trap for a flat guest: what was asked for, or what works here and suffices.
    ///
    /// - Throws: ``SiteTrapError`` when what was asked for cannot be had; ``KVMError`` when the self-test cannot run.
    static func choose(for guest: FlatGuest, options: MachineOptions, kvm: KVM) throws -> SiteTrap {
        let sites =
            options.cpuidSites.map { CPUIDSites(addresses: $0) }
            ?? CPUIDSites(scanning: guest.image, loadedAt: guest.loadAddress)
        var mechanism = options.trap
        if mechanism == .auto {
            // A guest without CPUID needs no trap, and no self-test either.
            mechanism = sites.addresses.isEmpty ? .none : try kvm.trapSupport().choice(siteCount: sites.addresses.count)
        }
        switch mechanism {
        case .debug:
            guard sites.addresses.count <= DebugRegisters.breakpointCount else {
                throw SiteTrapError.tooManySites(count: sites.addresses.count)
            }
        case .patch:
            guard let port = freePort(in: guest.image) else { throw SiteTrapError.noFreePort }
            return SiteTrap(mechanism: mechanism, sites: sites, port: port)
        case .step, .none, .auto:
            break
        }
        return SiteTrap(mechanism: mechanism, sites: sites, port: 0)
    }
}
