/// A site trap as it was chosen for a guest: the mechanism, and the sites where they matter.
struct SiteTrap: Sendable {
    /// The mechanism; never `auto`.
    let mechanism: CPUIDTrap
    let sites: CPUIDSites
    /// The port of the OUT that stands in place of CPUID, for `patch`.
    let port: UInt8

    static let none = SiteTrap(mechanism: .none, sites: CPUIDSites(addresses: []), port: 0)

    /// What KVM's debugging is set to while the trap is on.
    var guestDebug: VCPU.GuestDebug {
        switch mechanism {
        case .debug: .breakpoints(sites.addresses)
        case .step: .singleStep
        case .patch, .fault, .none, .auto: .off
        }
    }

    /// OUT imm8, AL: as long as CPUID, changes no register, and exits in every mode in which I/O is allowed.
    /// Source: Intel SDM, volume 2.
    static let outImmediate: UInt8 = 0xe6

    /// The bytes that `patch` puts in place of CPUID.
    var patchBytes: [UInt8] { [Self.outImmediate, port] }

    /// Ports that no PC device has, in the order in which they are tried.
    static let candidatePorts: [UInt8] = Array(0xe0...0xe8) + Array(0xb8...0xbf) + Array(0x90...0x9f)

    /// A port for the patch that no `OUT imm8, AL` of the image names, so that an OUT at a site is always ours.
    static func freePort(in image: [UInt8]) -> UInt8? {
        candidatePorts.first { port in
            !zip(image, image.dropFirst()).contains { $0 == outImmediate && $1 == port }
        }
    }

    /// Checks that a CPUID stands at every site.
    ///
    /// - Throws: ``SiteTrapError/notCPUID(address:)`` for the first site where none does.
    func check(_ memory: GuestMemory) throws(SiteTrapError) {
        for site in sites.addresses {
            guard let bytes = try? memory.bytes(at: GuestPhysicalAddress(site), count: CPUIDSites.opcode.count),
                bytes == CPUIDSites.opcode
            else { throw .notCPUID(address: site) }
        }
    }

    /// Writes the patch over every site.
    ///
    /// - Throws: ``SiteTrapError/notCPUID(address:)`` for a site where no CPUID stands; then nothing was written.
    func patch(_ memory: GuestMemory) throws(SiteTrapError) {
        try check(memory)
        for site in sites.addresses {
            // Checked just now: the bytes are there.
            try? memory.write(patchBytes, at: GuestPhysicalAddress(site))
        }
    }
}
