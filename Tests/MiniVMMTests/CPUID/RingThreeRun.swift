@testable import Counters
@testable import KVM
@testable import Memory
@testable import MiniVMM
@testable import TestSupport

/// A program at privilege level 3, run by the run loop with the fault trap on, and what came of it.
struct RingThreeRun {
    let ending: RunEnding
    private let machine: RingThreeMachine

    /// Where programs leave numbers.
    static let results: UInt64 = 0xa000
    /// An address without memory, which programs touch to exit.
    static let mmio: UInt32 = 0x0010_0000

    /// - Parameters:
    ///   - handler: What follows the handler's first instructions is up to the test; port 0xF4 ends the run.
    ///   - prepare: Changes memory or the vCPU's state before the run.
    init(
        program: [UInt8],
        handler: [UInt8],
        byDebugRegister: Bool = false,
        prepare: (GuestMemory, VCPU) throws -> Void = { _, _ in }
    ) throws {
        let sandbox = try RingThreeSandbox(program: program, handler: handler)
        let patches = HandlerPatches(memory: sandbox.memory, port: SiteTrap.candidatePorts[0])
        machine = try RingThreeMachine(
            kvm: TestKVM.shared(), sandbox: sandbox,
            mechanism: byDebugRegister ? .debugRegister : .patch(patches), prepare: prepare)
        ending = try machine.run(timeout: .seconds(GuestRun.limit))
    }

    var counters: ExitCounters { machine.parts.counters.counters(of: 0) }
    var memory: GuestMemory { machine.parts.memory }

    /// A number that the program or the handler left in memory.
    func number(_ index: UInt64) throws -> UInt64 {
        try memory.load(UInt64.self, at: GuestPhysicalAddress(Self.results + index * 8))
    }
}
