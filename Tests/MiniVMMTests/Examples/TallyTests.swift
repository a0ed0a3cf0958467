@testable import Counters
@testable import Devices
@testable import KVM
@testable import Memory
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// The example of a device from outside, in the same sources: `Examples/tally-device`.
final class TallyTests: KVMTestCase {
    func testItsGuestUsesPortInterruptRegistersAndACPI() throws {
        let console = try CapturedConsole()
        var options = MachineOptions()
        options.components.append(TallyComponent())
        options.consoleDescriptor = console.descriptor
        let machine = try Machine(kvm: try TestKVM.shared(), guest: TallyGuest(), options: options)
        let outcome = try machine.run(timeout: .seconds(30))
        XCTAssertEqual(outcome.ending.summary, "the guest exited with status 0")
        XCTAssertEqual(console.text, "I6A\n")
        XCTAssertEqual(outcome.statistics.total.kinds.first { $0.kind == .mmioRead }?.exits, 1)
    }

    func testItsLineIsItsOwn() throws {
        var options = MachineOptions()
        options.components = [TallyComponent(), TallyComponent()]
        XCTAssertThrowsError(try Machine(kvm: try TestKVM.shared(), guest: TallyGuest(), options: options)) {
            XCTAssertEqual($0 as? BusError, .interruptLineTaken(5, "tally", "tally"))
        }
    }
}
