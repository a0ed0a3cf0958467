import Boot
public import Counters
public import Host
import KVM
import Memory

/// A site trap as it was chosen for a guest: the mechanism, and the sites where they matter.
struct SiteTrap: Sendable {
    /// The mechanism; never `auto`.
    let mechanism: CPUIDTrap
    let sites: CPUIDSites
    /// The port of the OUT that stands in place of CPUID, for `patch`.
    let port: UInt8

    /// OUT imm8, AL: as long as CPUID, changes no register, and exits in every mode in which I/O is allowed.
    /// Source: Intel SDM, volume 2.
    static let outImmediate: UInt8 = 0xe6

    /// The bytes that `patch` puts in place of CPUID.
    var patchBytes: [UInt8] { [Self.outImmediate, port] }

    /// Ports that no PC device has, in the order in which they are tried.
    static let candidatePorts: [UInt8] =
        Array(0xe0...0xe8) + Array(0xb8...0xbf) + Array(0x90...0x91) + Array(0x93...0x9f)

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

extension SiteTrap {
    /// The trap for a flat guest: what was asked for, or what works here and suffices.
    ///
    /// - Throws: ``SiteTrapError`` when what was asked for cannot be had; `KVMError` when the self-test cannot run.
    static func choose(
        for image: [UInt8], loadedAt address: UInt64, options: MachineOptions, kvm: KVM
    ) throws -> SiteTrap {
        let sites =
            options.cpuidSites.map { CPUIDSites(addresses: $0) }
            ?? CPUIDSites(scanning: image, loadedAt: address)
        let mechanism = try mechanism(options.trap, siteCount: sites.addresses.count, kvm: kvm)
        switch mechanism {
        case .debug:
            guard sites.addresses.count <= DebugRegisters.breakpointCount else {
                throw SiteTrapError.tooManySites(count: sites.addresses.count)
            }
        case .patch:
            guard let port = freePort(in: image) else { throw SiteTrapError.noFreePort }
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

/// The places in a guest's image where CPUID instructions stand, or may stand.
public struct CPUIDSites: Hashable, Sendable {
    /// The bytes of CPUID. Source: Intel SDM, volume 2.
    package static let opcode: [UInt8] = [0x0f, 0xa2]

    /// Linear addresses, ascending, each once.
    public let addresses: [UInt64]

    /// The given addresses.
    public init(addresses: some Sequence<UInt64>) {
        self.addresses = Set(addresses).sorted()
    }

    /// The addresses in an image at which the bytes of CPUID stand. Some may be data, or the middle of another
    /// instruction.
    public init(scanning image: [UInt8], loadedAt start: UInt64) {
        var found: [UInt64] = []
        for index in image.indices.dropLast() {
            guard image[index] == Self.opcode[0], image[index + 1] == Self.opcode[1] else { continue }
            found.append(start &+ UInt64(index))
        }
        addresses = found
    }

    /// Whether an address is a site.
    func contains(_ address: UInt64) -> Bool {
        var low = 0
        var high = addresses.count
        while low < high {
            let middle = low + (high - low) / 2
            if addresses[middle] < address { low = middle + 1 } else { high = middle }
        }
        return low < addresses.count && addresses[low] == address
    }
}

/// Why a CPUID trap that was asked for cannot be had.
public enum SiteTrapError: Error, Hashable, Sendable {
    /// The bytes at a site are not those of CPUID.
    case notCPUID(address: UInt64)
    /// More sites than debug registers.
    case tooManySites(count: Int)
    /// Every port that a patch could use is used by the image.
    case noFreePort
    /// The mechanism is for programs under an operating system.
    case notForFlatGuests(CPUIDTrap)
    /// The mechanism is for code whose sites are known, or that runs in ring 0.
    case notForLinuxGuests(CPUIDTrap)
    /// The mechanism does not work on this host.
    case notSupported(CPUIDTrap)
}

extension SiteTrapError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notCPUID(let address):
            "The bytes at CPUID site 0x\(String(address, radix: 16)) are not 0F A2."
        case .tooManySites(let count):
            "The image has \(count) places where CPUID may stand, and the processor has \(DebugRegisters.breakpointCount) debug registers."
        case .noFreePort:
            "The image uses every port that could stand for CPUID."
        case .notForFlatGuests(let trap):
            "The CPUID trap `\(trap.rawValue)` is for Linux guests, and this guest is a flat one."
        case .notForLinuxGuests(let trap):
            "The CPUID trap `\(trap.rawValue)` is for flat guests, and this guest is Linux."
        case .notSupported(let trap):
            "The CPUID trap `\(trap.rawValue)` does not work on this host."
        }
    }
}
