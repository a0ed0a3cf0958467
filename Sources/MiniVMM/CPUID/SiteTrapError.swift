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

    public var remedy: String {
        switch self {
        case .notCPUID: "Give --cpuid-site the address of the instruction's byte 0F, or use --cpuid-trap step."
        case .tooManySites: "Use --cpuid-trap patch or step, or name up to four addresses with --cpuid-site."
        case .noFreePort: "Use --cpuid-trap debug or step."
        case .notForFlatGuests: "Use --cpuid-trap auto, debug, patch, step or none."
        case .notForLinuxGuests: "Use --cpuid-trap auto, fault or none."
        case .notSupported: "Use --cpuid-trap auto; `minivmm doctor` lists what works here."
        }
    }

    public var exitStatus: ExitStatus {
        switch self {
        case .notCPUID, .tooManySites, .noFreePort, .notForFlatGuests, .notForLinuxGuests: .usage
        case .notSupported: .kvmUnavailable
        }
    }
}
