import Boot
public import Counters
import Devices
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

    /// A port for the patch that no `OUT imm8, AL` of the code names, so that an OUT at a site is always ours, and that no
    /// device has.
    static func freePort(in code: [LoadedCode], claimed: [PortAttachment] = []) -> UInt8? {
        candidatePorts.first { port in
            !claimed.contains { $0.ports.contains(UInt16(port)) }
                && !code.contains { part in
                    zip(part.bytes, part.bytes.dropFirst()).contains { $0 == outImmediate && $1 == port }
                }
        }
    }

    /// Checks that a CPUID begins at every site.
    ///
    /// - Parameter allowsPrefixes: Whether it may begin with prefixes.
    /// - Throws: ``SiteTrapError/notCPUID(address:)`` for the first site where none does.
    func check(_ memory: GuestMemory, allowsPrefixes: Bool = false) throws(SiteTrapError) {
        for site in sites.addresses {
            if allowsPrefixes, CPUIDSites.prefixCount(at: site, in: memory) != nil { continue }
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
    /// The trap for a guest without an operating system's programs: what was asked for, or what works here and
    /// suffices.
    ///
    /// - Parameters:
    ///   - code: The guest's code, part by part.
    ///   - isKernel: Whether the guest may switch paging on, and is large enough to hold the bytes of a CPUID where there
    ///     is none. Then there is no trap by itself unless the guest names a counter leaf: all others KVM answers.
    ///   - claimed: The ports of devices.
    /// - Throws: ``SiteTrapError`` when what was asked for cannot be had; `KVMError` when the self-test cannot run.
    static func choose(
        for code: [LoadedCode], isKernel: Bool = false, claimed: [PortAttachment] = [], options: MachineOptions,
        tests: SelfTests
    ) throws -> SiteTrap {
        if isKernel, options.trap == .auto, options.cpuidSites == nil, !code.contains(where: { namesLeaf($0.bytes) }) {
            return SiteTrap(mechanism: .none, sites: CPUIDSites(addresses: []), port: 0)
        }
        let sites = CPUIDSites(
            addresses: options.cpuidSites
                ?? code.flatMap { CPUIDSites(scanning: $0.bytes, loadedAt: $0.address).addresses })
        // A breakpoint has to be where the instruction begins, with its first prefix. Whether the byte before a CPUID is
        // one, or the end of another instruction, only running it would tell: there is to be a breakpoint for both.
        let starts = CPUIDSites(
            addresses: code.flatMap {
                CPUIDSites.possibleStarts(of: sites, in: $0.bytes, loadedAt: $0.address).addresses
            })
        let mayHavePrefixes =
            starts != sites
            || code.contains { CPUIDSites.mayHaveREX(sites, in: $0.bytes, loadedAt: $0.address) }
        let mechanism = try mechanism(
            options.trap, siteCount: sites.addresses.count, prefersPatch: mayHavePrefixes || isKernel, tests: tests,
            hasDebugger: options.debugging != nil)
        switch mechanism {
        case .debug:
            let breakpoints = starts.addresses.count <= DebugRegisters.breakpointCount ? starts : sites
            guard breakpoints.addresses.count <= DebugRegisters.breakpointCount else {
                throw SiteTrapError.tooManySites(count: breakpoints.addresses.count)
            }
            return SiteTrap(mechanism: mechanism, sites: breakpoints, port: 0)
        case .patch:
            guard let port = freePort(in: code, claimed: claimed) else { throw SiteTrapError.noFreePort }
            return SiteTrap(mechanism: mechanism, sites: sites, port: port)
        case .step, .fault, .none, .auto:
            break
        }
        return SiteTrap(mechanism: mechanism, sites: sites, port: 0)
    }

    /// The four bytes of a counter leaf's number, the way instructions hold it.
    private static func namesLeaf(_ bytes: [UInt8]) -> Bool {
        var number: UInt32 = 0
        for byte in bytes {
            number = number >> 8 | UInt32(byte) << 24
            if CounterLeaves.range.contains(number) { return true }
        }
        return false
    }

    /// The mechanism that was asked for, if it works here; for `auto` the best that does.
    ///
    /// - Parameter prefersPatch: Whether breakpoints at linear addresses might miss the CPUIDs.
    private static func mechanism(
        _ asked: CPUIDTrap, siteCount: Int, prefersPatch: Bool, tests: SelfTests, hasDebugger: Bool
    ) throws -> CPUIDTrap {
        switch asked {
        case .none:
            return .none
        case .fault:
            throw SiteTrapError.notForFlatGuests(asked)
        case .auto:
            // A guest without CPUID needs no trap, and no self-test either.
            guard siteCount != 0 else { return .none }
            let support = try tests.trapSupport()
            let choice = support.choice(siteCount: siteCount, hasDebugger: hasDebugger)
            guard choice == .debug, prefersPatch else { return choice }
            return support.patch ? .patch : support.step ? .step : .debug
        case .debug, .patch, .step:
            guard asked == .patch || !hasDebugger else { throw SiteTrapError.notWithDebugger(asked) }
            guard try tests.trapSupport().includes(asked) else { throw SiteTrapError.notSupported(asked) }
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

    /// The sites, and the addresses before each where its instruction begins if the bytes there are prefixes.
    static func possibleStarts(of sites: CPUIDSites, in image: [UInt8], loadedAt start: UInt64) -> CPUIDSites {
        var starts = sites.addresses
        for site in sites.addresses {
            guard var index = Int(exactly: site &- start), index <= image.count else { continue }
            while index > 0, InstructionWindow.isLegacyPrefix(image[index - 1]) {
                index -= 1
                starts.append(start &+ UInt64(index))
            }
        }
        return CPUIDSites(addresses: starts)
    }

    /// Whether the byte before any site may be a REX prefix. In code of 16 and 32 bits it never is one; and as the last
    /// byte of a counter leaf's number, which a CPUID often has before it, it is none either.
    static func mayHaveREX(_ sites: CPUIDSites, in image: [UInt8], loadedAt start: UInt64) -> Bool {
        sites.addresses.contains { site in
            guard let index = Int(exactly: site &- start), index <= image.count, index > 0,
                InstructionWindow.isREX(image[index - 1])
            else { return false }
            let number: UInt32? = index < 4 ? nil : image.integer(at: UInt64(index - 4))
            return !(number.map(CounterLeaves.range.contains) ?? false)
        }
    }

    /// How many prefixes stand at an address before the bytes of a CPUID; nil where none follows.
    static func prefixCount(at address: UInt64, in memory: GuestMemory) -> Int? {
        func byte(_ index: Int) -> UInt8? {
            try? memory.load(UInt8.self, at: GuestPhysicalAddress(address &+ UInt64(index)))
        }
        for count in 0..<(InstructionWindow.longestInstruction - 1) {
            if byte(count) == opcode[0], byte(count + 1) == opcode[1] { return count }
            guard let next = byte(count), InstructionWindow.isLegacyPrefix(next) || InstructionWindow.isREX(next)
            else { return nil }
        }
        return nil
    }

    /// Whether an address is a site.
    @inline(__always)
    func contains(_ address: UInt64) -> Bool { index(of: address) != nil }

    /// The place of a site in ``addresses``.
    func index(of address: UInt64) -> Int? {
        var low = 0
        var high = addresses.count
        while low < high {
            let middle = low + (high - low) / 2
            if addresses[middle] < address { low = middle + 1 } else { high = middle }
        }
        return low < addresses.count && addresses[low] == address ? low : nil
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
    /// The mechanism needs what a debugger needs: the debug registers, or single steps.
    case notWithDebugger(CPUIDTrap)
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
            "The CPUID trap `\(trap.rawValue)` is for Linux guests, and this guest is none."
        case .notForLinuxGuests(let trap):
            "The CPUID trap `\(trap.rawValue)` is for flat guests, and this guest is Linux."
        case .notSupported(let trap):
            "The CPUID trap `\(trap.rawValue)` does not work on this host."
        case .notWithDebugger(let trap):
            "The CPUID trap `\(trap.rawValue)` needs the debug registers or single steps, which a debugger needs too."
        }
    }
}
