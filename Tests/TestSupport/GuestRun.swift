@testable import Boot
@testable import Counters
@testable import Host
@testable import Memory
import XCTest

@testable import MiniVMM

/// A flat guest that a test runs, and what came of it.
struct GuestRun {
    let outcome: RunOutcome
    let memory: GuestMemory
    let console: String

    /// How long a test's guest may take, in seconds: far more than any needs, so that a hang is a failure and not a
    /// hang of the tests.
    static let limit = 300

    /// Runs code as a flat guest.
    ///
    /// - Parameters:
    ///   - prepare: Changes the machine before it runs, such as the state of its vCPU.
    init(
        _ code: [UInt8],
        trap: CPUIDTrap = .none,
        leaves: CounterLeaves = .f22,
        exitTypes: ExitNumbering = .sdm,
        sites: [UInt64]? = nil,
        argument: UInt32 = 0,
        cpus: Int = 1,
        pinnedCPUs: CPUList? = nil,
        timeout: Duration = .seconds(GuestRun.limit),
        input: ConsoleSource? = nil,
        prepare: (Machine) throws -> Void = { _ in }
    ) throws {
        var guest = FlatGuest(image: code)
        guest.argument = argument
        try self.init(
            guest, trap: trap, leaves: leaves, exitTypes: exitTypes, sites: sites, cpus: cpus, pinnedCPUs: pinnedCPUs,
            timeout: timeout, input: input, prepare: prepare)
    }

    /// Runs a flat guest.
    init(
        _ guest: FlatGuest,
        trap: CPUIDTrap = .none,
        leaves: CounterLeaves = .f22,
        exitTypes: ExitNumbering = .sdm,
        sites: [UInt64]? = nil,
        cpus: Int = 1,
        pinnedCPUs: CPUList? = nil,
        timeout: Duration = .seconds(GuestRun.limit),
        input: ConsoleSource? = nil,
        prepare: (Machine) throws -> Void = { _ in }
    ) throws {
        let captured = try CapturedConsole()
        var options = MachineOptions()
        options.trap = trap
        options.leaves = leaves
        options.exitTypes = exitTypes
        options.cpuidSites = sites
        options.cpuCount = cpus
        options.pinnedCPUs = pinnedCPUs
        options.consoleDescriptor = captured.descriptor
        let machine = try Machine(kvm: TestKVM.shared(), guest: guest, options: options)
        try prepare(machine)
        outcome = try machine.run(timeout: timeout, input: input)
        memory = machine.parts.memory
        console = captured.text
    }

    /// The exits of a kind.
    func exits(_ kind: ExitKind) -> UInt64 {
        outcome.statistics.total.kinds.first { $0.kind == kind }?.exits ?? 0
    }

    /// A 32-bit number that the guest left in memory.
    func number(at address: UInt64) throws -> UInt32 {
        try memory.load(UInt32.self, at: GuestPhysicalAddress(address))
    }
}
