import Boot
import CKVM
@testable import Host
@testable import KVM
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// Self-tests that share a virtual machine.
final class SelfTestsTests: XCTestCase {
    /// A KVM, and how many virtual machines it has made.
    private func countingKVM() throws -> (kvm: KVM, machineCount: () -> Int) {
        let counted = Counted()
        var calls = KVMSystemCalls.live
        calls.createVM = { kvm in
            counted.number.withLock { $0 += 1 }
            return ckvm_create_vm(kvm, 0)
        }
        let kvm = try KVM(path: KVM.defaultDevicePath, systemCalls: calls)
        return (kvm, { counted.number.withLock { $0 } })
    }

    private final class Counted: Sendable {
        let number = Locked(0)
    }

    private func openMachines() throws -> Int {
        try OpenDescriptors.all().values.filter { $0 == "anon_inode:kvm-vm" }.count
    }

    /// Each finds, in every order, what it finds in a machine of its own.
    func testTheirAnswersDoNotDependOnEachOther() throws {
        _ = try TestKVM.shared()
        let linux = try KVM().linuxSupport()
        let traps = try KVM().trapSupport()
        let fault = try KVM().faultTrapSupport()
        let debugger = try KVM().debugSupport()
        let questions: [(SelfTests) throws -> Void] = [
            { XCTAssertEqual(try $0.linuxSupport(), linux) },
            { XCTAssertEqual(try $0.trapSupport(), traps) },
            { XCTAssertEqual(try $0.faultTrapSupport(), fault) },
            { XCTAssertEqual(try $0.debugSupport(), debugger) },
        ]
        let orders = [
            [0, 1, 2, 3], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [3, 2, 1, 0], [3, 0],
        ]
        for order in orders {
            let (kvm, machineCount) = try countingKVM()
            let tests = SelfTests(kvm)
            XCTAssertEqual(machineCount(), 0)
            for question in order { try questions[question](tests) }
            XCTAssertEqual(machineCount(), 1, "\(order)")
        }
    }

    /// A run has its guest's machine alone, and leaves none behind.
    func testARunClosesTheirMachine() throws {
        _ = try TestKVM.shared()
        let before = try openMachines()
        do {
            let (kvm, machineCount) = try countingKVM()
            let code: [UInt8] = [
                0x0f, 0xa2,  // cpuid
                0xf4,  // hlt
            ]
            let machine = try Machine(kvm: kvm, guest: FlatGuest(image: code))
            XCTAssertEqual(machineCount(), 2)
            XCTAssertEqual(try openMachines(), before + 2)
            let ending = try machine.run().ending
            guard case .halted = ending else { return XCTFail("\(ending)") }
            XCTAssertEqual(try openMachines(), before + 1)
        }
        XCTAssertEqual(try openMachines(), before)
    }
}
