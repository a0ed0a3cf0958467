@testable import Boot
@testable import Counters
@testable import KVM
@testable import Memory
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// KVM's own count of exits, as the guest is told of it.
final class KernelExitsTests: XCTestCase {
    func testTotalExitsAreKVMsOwn() throws {
        guard let trap = try TestKVM.workingTraps().first else { throw XCTSkip("no CPUID trap works on this bed") }
        let captured = try CapturedConsole()
        var options = MachineOptions()
        options.trap = trap
        options.exits = .total
        options.consoleDescriptor = captured.descriptor
        var guest = FlatGuest(image: CounterGuests.twoReadings(.f22))
        guest.argument = 1000
        let machine: Machine
        do {
            machine = try Machine(kvm: TestKVM.shared(), guest: guest, options: options)
        } catch KVMError.missingCapability(.binaryStatistics) {
            throw XCTSkip("this KVM has no statistics")
        }
        let outcome = try machine.run(timeout: .seconds(GuestRun.limit))
        guard case .halted = outcome.ending else { return XCTFail(outcome.ending.summary) }
        func result(_ offset: UInt64) throws -> UInt32 {
            try machine.parts.memory.load(at: GuestPhysicalAddress(CounterGuests.results + offset))
        }
        let (before, after) = (try result(0), try result(4))
        // Every OUT and the question exit; interrupts of the host, and the guest's first touches of memory, come on top.
        XCTAssertGreaterThanOrEqual(after - before, 1001)
        let total = try XCTUnwrap(machine.parts.source as? KernelTotalSource).totalExits
        XCTAssertGreaterThanOrEqual(total, UInt64(after))
        XCTAssertEqual(outcome.statistics.total.exits, 1003, "our own count stays our own")
    }
}
