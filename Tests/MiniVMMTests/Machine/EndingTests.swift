@testable import Boot
@testable import Counters
@testable import Host
@testable import Memory
@testable import MiniVMM
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// How runs end, and what the guest's console shows until then.
final class EndingTests: XCTestCase {
    func testHltEndsTheRun() throws {
        let run = try GuestRun([0xf4])  // hlt
        guard case .halted = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(run.outcome.ending.exitStatus, .success)
        XCTAssertEqual(run.outcome.statistics.total.exits, 1)
    }

    func testExitPortGivesTheStatus() throws {
        for status in [UInt8(0), 1, 7, 255] {
            let run = try GuestRun([
                0xb0, status,  // mov al, status
                0xe6, 0xf4,  // out 0xf4, al
                0xeb, 0xfe,  // jmp to itself
            ])
            guard case .exitPort(status) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
            XCTAssertEqual(run.outcome.ending.exitStatus.rawValue, Int32(status))
            XCTAssertEqual(run.exits(.portOut), 1, "nothing ran after the write")
        }
    }

    func testUnhandledVectorIsNamed() throws {
        let run = try GuestRun([
            0x90,  // nop
            0xcd, 0x60,  // int 0x60; KVM's emulator takes vectors from 0x80 on for negative numbers
        ])
        guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        // INT pushes the address of the next instruction; its own is the one that counts.
        XCTAssertEqual(death.cause, .unhandledInterrupt(0x60, at: SegmentedAddress(segment: 0, offset: 0x7c01)))
        XCTAssertEqual(death.state?.mode, .real)
        XCTAssertEqual(death.state?.code.prefix(2), [0xcd, 0x60])
        XCTAssertEqual(death.state?.general.first { $0.name == "rip" }?.value, 0x7c01)
        XCTAssertEqual(run.outcome.ending.exitStatus, .guestDied)
    }

    func testFaultIsNamedWithItsAddress() throws {
        let run = try GuestRun([0x0f, 0x0b])  // ud2
        guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(death.cause, .unhandledVector(6, at: SegmentedAddress(segment: 0, offset: 0x7c00)))
        XCTAssertEqual(death.state?.code.prefix(2), [0x0f, 0x0b])
        XCTAssertEqual(death.state?.general.first { $0.name == "rsp" }?.value, 0x7c00)
    }

    func testAnINTIsNotTakenForTheExceptionOfItsVector() throws {
        for vector: UInt8 in [0, 6, 0x0d, 0x18, 0x21] {
            // nop; int vector
            let run = try GuestRun([0x90, 0xcd, vector])
            guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
            XCTAssertEqual(
                death.cause, .unhandledInterrupt(vector, at: SegmentedAddress(segment: 0, offset: 0x7c01)))
        }
    }

    func testABreakpointIsNamedAtItsOwnAddress() throws {
        let run = try GuestRun([0x90, 0xcc])  // nop; int3
        guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(death.cause, .unhandledVector(3, at: SegmentedAddress(segment: 0, offset: 0x7c01)))
    }

    func testAnAddressThatAStackOutsideMemoryHasLostIsNotMadeUp() throws {
        let run = try GuestRun([
            0xb8, 0x00, 0xb0,  // mov ax, 0xb000
            0x8e, 0xd0,  // mov ss, ax
            0xcd, 0x60,  // int 0x60
        ])
        guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(death.cause, .unhandledVector(0x60, at: nil))
        XCTAssertEqual(death.state?.general.first { $0.name == "rsp" }?.value, 0x7bfa)
    }

    func testAFaultAfterAnINTOfAnotherVectorIsAFault() throws {
        let run = try GuestRun([
            0xcd, 0x12,  // int 0x12, which returns
            0x0f, 0x0b,  // ud2
        ])
        guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(death.cause, .unhandledVector(6, at: SegmentedAddress(segment: 0, offset: 0x7c02)))
    }

    func testAJumpOutOfMemoryIsToldFromAnInstructionThatCannotBeEmulated() throws {
        let run = try GuestRun([0xea, 0x00, 0x00, 0x00, 0xa0])  // jmp 0xa000:0
        guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(death.cause, .codeOutsideMemory(at: GuestPhysicalAddress(0xa_0000)))
        XCTAssertEqual(run.outcome.ending.exitStatus, .guestDied)
        XCTAssertFalse(death.isRingZeroEmulated)
    }

    func testATripleFaultShowsNoRegistersThatAreNotDefined() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "triple-fault"))
        let run = try GuestRun(guest.image)
        guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        let pointer = death.state?.general.first { $0.name == "rip" }?.value
        if try TestKVM.shared().linuxSupport() == .emulatesRingZero {
            XCTAssertEqual(death.state?.mode, .protected16)
        }
        XCTAssertNotEqual(pointer, 0xfff0, "that is the state after a reset")
    }

    func testOwnHandlerIsUsed() throws {
        let run = try GuestRun([
            0xc7, 0x06, 0x80, 0x01, 0x10, 0x7c,  // mov word [0x180], 0x7c10: the offset of vector 0x60
            0xc7, 0x06, 0x82, 0x01, 0x00, 0x00,  // mov word [0x182], 0: its segment
            0xcd, 0x60,  // int 0x60
            0xf4, 0x90,  // hlt; nop
            0xb0, 0x2a,  // 0x7c10: mov al, 42
            0xe6, 0xf4,  // out 0xf4, al
        ])
        guard case .exitPort(42) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
    }

    func testTripleFault() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "triple-fault"))
        let run = try GuestRun(guest.image)
        guard case .died(let death) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(death.cause, .tripleFault)
        XCTAssertEqual(run.exits(.shutdown), 1)
    }

    func testTimeoutEndsAGuestThatNeverExits() throws {
        for trap in [CPUIDTrap.none] + (try TestKVM.workingTraps()) {
            let run = try GuestRun([0xeb, 0xfe], trap: trap, timeout: .milliseconds(20))  // jmp to itself
            guard case .timeout = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
            XCTAssertEqual(run.outcome.ending.exitStatus, .timeout)
            XCTAssertEqual(run.outcome.statistics.total.exits, 0, "\(trap): MiniVMM's own steps are not the guest's")
        }
    }

    func testTimeoutEndsAGuestThatAlwaysExits() throws {
        let code: [UInt8] = [
            0xe6, 0x80,  // out 0x80, al
            0xeb, 0xfc,  // jmp to the out
        ]
        for trap in [CPUIDTrap.none] + (try TestKVM.workingTraps()) {
            let run = try GuestRun(code, trap: trap, timeout: .milliseconds(20))
            guard case .timeout = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        }
    }

    func testTimeoutEndsAGuestOfNothingButCPUID() throws {
        // cpuid; jmp to it. In single-step mode two of three instructions are serviced without entering the guest.
        for trap in try TestKVM.workingTraps() {
            let run = try GuestRun([0x0f, 0xa2, 0xeb, 0xfc], trap: trap, timeout: .milliseconds(20))
            guard case .timeout = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
            XCTAssertEqual(run.outcome.statistics.total.exits, run.exits(.cpuid))
        }
    }

    func testStopBeforeTheStart() throws {
        let run = try GuestRun([0xeb, 0xfe]) { $0.control.stop(.signal(2)) }
        guard case .signal(2) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(run.outcome.ending.exitStatus.rawValue, 130)
    }

    func testConsoleByAllThreeWays() throws {
        let run = try GuestRun([
            0xb0, 0x41,  // mov al, 'A'
            0xe6, 0xe9,  // out 0xe9, al: the debug console
            0xba, 0xf8, 0x03,  // mov dx, 0x3f8
            0xb0, 0x42,  // mov al, 'B'
            0xee,  // out dx, al: the serial port
            0xb8, 0x43, 0x0e,  // mov ax, 0x0e43: 'C'
            0xcd, 0x10,  // int 0x10
            0xb8, 0x03, 0x00,  // mov ax, 3: set a text mode, which has no effect
            0xcd, 0x10,  // int 0x10
            0xf4,  // hlt
        ])
        XCTAssertEqual(run.console, "ABC")
        XCTAssertEqual(run.exits(.portOut), 4)
    }

    func testUnclaimedAccessesReadAllOnesAndAreListed() throws {
        let run = try GuestRun([
            0xba, 0x34, 0x12,  // mov dx, 0x1234
            0xec,  // in al, dx
            0xa2, 0x00, 0x90,  // mov [0x9000], al
            0x66, 0xed,  // in eax, dx
            0x66, 0xa3, 0x04, 0x90,  // mov [0x9004], eax
            0xef,  // out dx, ax
            0xb8, 0x00, 0xb8,  // mov ax, 0xb800
            0x8e, 0xd8,  // mov ds, ax
            0xa1, 0x10, 0x00,  // mov ax, [0x10]: at 0xb8010
            0x2e, 0xa3, 0x08, 0x90,  // mov cs:[0x9008], ax
            0xa2, 0x00, 0x10,  // mov [0x1000], al: at 0xb9000
            0xf4,  // hlt
        ])
        XCTAssertEqual(try run.number(at: 0x9000) & 0xff, 0xff)
        XCTAssertEqual(try run.number(at: 0x9004), 0xffff_ffff)
        XCTAssertEqual(try run.number(at: 0x9008) & 0xffff, 0xffff)
        XCTAssertEqual(run.outcome.unclaimedPorts, [UnclaimedAddress(address: 0x1234, reads: 2, writes: 1)])
        XCTAssertEqual(
            run.outcome.unclaimedPages,
            [
                UnclaimedAddress(address: 0xb8000, reads: 1, writes: 0),
                UnclaimedAddress(address: 0xb9000, reads: 0, writes: 1),
            ])
    }

    func testArgumentArrivesInECX() throws {
        let run = try GuestRun([0x66, 0x89, 0x0e, 0x00, 0x90, 0xf4], argument: 0x1234_5678)  // mov [0x9000], ecx; hlt
        XCTAssertEqual(try run.number(at: 0x9000), 0x1234_5678)
    }
}
