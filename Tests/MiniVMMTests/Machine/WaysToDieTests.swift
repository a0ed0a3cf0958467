@testable import Boot
@testable import Counters
@testable import Host
@testable import KVM
@testable import Memory
@testable import TestSupport
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// The ways in which guests die, in every mode: each with its cause, its address and the advice that goes with it.
final class WaysToDieTests: KVMTestCase {
    private struct Way {
        let name: String
        let mode: ProcessorMode
        let code: [UInt8]
        let cause: GuestDeath.Cause
        /// The linear address at which the vCPU stands; nil where the cause has it.
        let address: UInt64?
        /// What it dies of where KVM's emulator runs ring 0 and lacks the instruction: its first bytes.
        let whereEmulated: GuestDeath.Cause?
        /// Why the box, which QEMU emulates, cannot show it.
        let notInTheBox: String?

        init(
            _ name: String, _ mode: ProcessorMode, _ code: [UInt8], _ cause: GuestDeath.Cause, at address: UInt64?,
            whereEmulated: GuestDeath.Cause? = nil, notInTheBox: String? = nil
        ) {
            (self.name, self.mode, self.code, self.cause, self.address) = (name, mode, code, cause, address)
            (self.whereEmulated, self.notInTheBox) = (whereEmulated, notInTheBox)
        }
    }

    /// Where guests are loaded.
    private static let start: UInt64 = 0x7c00

    /// An address of a guest, as real mode has it.
    private static func at(_ offset: UInt16) -> SegmentedAddress {
        SegmentedAddress(segment: 0, offset: UInt16(start) + offset)
    }

    func testEachIsToldTruly() throws {
        let isEmulated = try TestKVM.shared().linuxSupport() == .emulatesRingZero
        let isAMD = HostFacts.kvmModules.contains("kvm_amd")
        XCTAssertGreaterThanOrEqual(Self.ways.count, 20)
        for way in Self.ways {
            if let reason = way.notInTheBox, HostFacts.processorName?.contains("QEMU TCG") ?? false {
                print("\(way.name): not shown here, because \(reason)")
                continue
            }
            let run = try GuestRun(way.code, timeout: .seconds(60)) { try way.mode.enter($0) }
            guard case .died(let death) = run.outcome.ending else {
                XCTFail("\(way.name): \(run.outcome.ending.summary)")
                continue
            }
            check(death, way, isEmulated: isEmulated, isAMD: isAMD)
        }
    }

    private func check(_ death: GuestDeath, _ way: Way, isEmulated: Bool, isAMD: Bool) {
        XCTAssertEqual(death.vcpu, 0, way.name)
        if isEmulated, case .emulationFailure(let wanted)? = way.whereEmulated {
            guard case .emulationFailure(let found) = death.cause else {
                return XCTFail("\(way.name): \(death.cause.summary)")
            }
            XCTAssertEqual(Array(found.prefix(wanted.count)), wanted, way.name)
        } else {
            XCTAssertEqual(death.cause, way.cause, way.name)
        }
        XCTAssertEqual(death.remedy, Self.advice(death.cause, isAMD: isAMD), way.name)
        // After a triple fault AMD's processors have no registers left to be shown.
        let isLost = isAMD && death.cause == .tripleFault
        XCTAssertEqual(death.state == nil, isLost, way.name)
        guard let state = death.state else { return }
        if let address = way.address { XCTAssertEqual(state.linearInstructionPointer, address, way.name) }
        // The code there is the guest's, as far as it lies in the guest.
        let offset = state.linearInstructionPointer &- Self.start
        if offset < UInt64(way.code.count) {
            let rest = Array(way.code[Int(offset)...])
            XCTAssertEqual(Array(state.code.prefix(rest.count)), rest, way.name)
        }
    }

    private static func advice(_ cause: GuestDeath.Cause, isAMD: Bool) -> String {
        switch cause {
        case .unhandledVector, .unhandledInterrupt:
            "Install a handler for the vector, or look at the code at that address."
        case .codeOutsideMemory:
            "Look for what led there: a jump, call or return to a wrong address, or code without an end."
        case .tripleFault where isAMD:
            "An exception struck while its handlers were missing or broken. This host's processor does not keep the "
                + "registers at a triple fault; what the guest did last, `--trace FILE` shows."
        case .tripleFault:
            "Look at the registers and code below; an exception struck while its handlers were missing or broken."
        case .emulationFailure:
            "This KVM emulates ring 0 instead of letting the processor run it, and its emulator lacks that "
                + "instruction: avoid it, or use a host with kvm_intel or kvm_amd. See `minivmm doctor`."
        case .internalError, .failEntry, .crashEvent, .unexpectedExit:
            "none of these is in the list"
        }
    }

    private static let ways: [Way] = [
        Way(
            "an invalid opcode", .real,
            [
                0x0f, 0x0b,  // ud2
            ],
            .unhandledVector(6, at: WaysToDieTests.at(0)), at: 0x7c00 + 0),
        Way(
            "a division by zero", .real,
            [
                0x31, 0xc9,  // xor cx, cx
                0xf7, 0xf1,  // div cx
            ],
            .unhandledVector(0, at: WaysToDieTests.at(2)), at: 0x7c00 + 2),
        Way(
            "an overflow", .real,
            [
                0xb0, 0x7f,  // mov al, 0x7f
                0x04, 0x01,  // add al, 0x1
                0xce,  // into
            ],
            .unhandledVector(4, at: WaysToDieTests.at(4)), at: 0x7c00 + 4),
        Way(
            "a breakpoint instruction", .real,
            [
                0xcc  // int3
            ],
            .unhandledVector(3, at: WaysToDieTests.at(0)), at: 0x7c00 + 0),
        Way(
            "a single step", .real,
            [
                0x9c,  // pushf
                0x58,  // pop ax
                0x80, 0xcc, 0x01,  // or ah, 0x1
                0x50,  // push ax
                0x9d,  // popf
                0x90,  // nop
                0x90,  // nop
            ],
            .unhandledVector(1, at: WaysToDieTests.at(8)), at: 0x7c00 + 8),
        Way(
            "an index out of bounds", .real,
            [
                0xb8, 0x05, 0x00,  // mov ax, 0x5
                0x62, 0x06, 0x07, 0x7c,  // bound ax, dword ds:0x7c07
                0x00, 0x00,  // add byte [bx+si], al
                0x01, 0x00,  // add word [bx+si], ax
            ],
            .unhandledVector(5, at: WaysToDieTests.at(3)), at: 0x7c00 + 3,
            whereEmulated: .emulationFailure(instruction: [0x62, 0x06])),
        Way(
            "floating point without a unit", .real,
            [
                0x0f, 0x20, 0xc0,  // mov eax, cr0
                0x0c, 0x04,  // or al, 0x4
                0x0f, 0x22, 0xc0,  // mov cr0, eax
                0xd9, 0xe8,  // fld1
            ],
            .unhandledVector(7, at: WaysToDieTests.at(8)), at: 0x7c00 + 8,
            whereEmulated: .emulationFailure(instruction: [0xd9, 0xe8])),
        Way(
            "SSE before it is switched on", .real,
            [
                0x0f, 0x58, 0xc1,  // addps xmm0, xmm1
            ],
            .unhandledVector(6, at: WaysToDieTests.at(0)), at: 0x7c00 + 0,
            whereEmulated: .emulationFailure(instruction: [0x0f, 0x58])),
        Way(
            "an access past a segment's end", .real,
            [
                0xa1, 0xff, 0xff,  // mov ax, ds:0xffff
            ],
            .unhandledVector(13, at: WaysToDieTests.at(0)), at: 0x7c00 + 0,
            notInTheBox: "QEMU does not check the limits of real-mode segments"),
        Way(
            "an instruction of 16 bytes", .real,
            [
                0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,  // 15 prefixes, nop
                0x66, 0x90,  // xchg eax, eax
            ],
            .unhandledVector(13, at: WaysToDieTests.at(0)), at: 0x7c00 + 0),
        Way(
            "RSM outside of SMM", .real,
            [
                0x0f, 0xaa,  // rsm
            ],
            .unhandledVector(6, at: WaysToDieTests.at(0)), at: 0x7c00 + 0),
        Way(
            "an INT of DOS", .real,
            [
                0xcd, 0x21,  // int 0x21
            ],
            .unhandledInterrupt(0x21, at: WaysToDieTests.at(0)), at: 0x7c00 + 0),
        Way(
            "an INT with the vector of an exception", .real,
            [
                0xcd, 0x05,  // int 0x5
            ],
            .unhandledInterrupt(0x05, at: WaysToDieTests.at(0)), at: 0x7c00 + 0),
        Way(
            "a jump to where there is no memory", .real,
            [
                0xea, 0x00, 0x00, 0x00, 0xb0,  // jmp 0xb000:0x0
            ],
            .codeOutsideMemory(at: GuestPhysicalAddress(0xb_0000)), at: nil),
        Way(
            "a selector that is none", .protected32,
            [
                0x66, 0xb8, 0x00, 0x01,  // mov ax, 0x100
                0x8e, 0xd8,  // mov ds, eax
            ],
            .tripleFault, at: 0x7c00 + 4),
        Way(
            "an invalid opcode without handlers", .protected32,
            [
                0x0f, 0x0b,  // ud2
            ],
            .tripleFault, at: 0x7c00 + 0),
        Way(
            "a division by zero without handlers", .protected32,
            [
                0x31, 0xc9,  // xor ecx, ecx
                0xf7, 0xf1,  // div ecx
            ],
            .tripleFault, at: 0x7c00 + 2),
        Way(
            "a jump to where there is no memory, in protected mode", .protected32,
            [
                0xb8, 0x00, 0x00, 0x00, 0xe0,  // mov eax, 0xe0000000
                0xff, 0xe0,  // jmp eax
            ],
            .codeOutsideMemory(at: GuestPhysicalAddress(0xe000_0000)), at: nil),
        Way(
            "a return by a stack that is none", .protected32,
            [
                0xbc, 0x00, 0x00, 0x00, 0xd0,  // mov esp, 0xd0000000
                0xc3,  // ret
            ],
            .codeOutsideMemory(at: GuestPhysicalAddress(0xffff_ffff)), at: nil),
        Way(
            "an invalid opcode in long mode", .long64,
            [
                0x0f, 0x0b,  // ud2
            ],
            .tripleFault, at: 0x7c00 + 0),
        Way(
            "a read of a page that is not there", .long64,
            [
                0xb8, 0x00, 0x00, 0x00, 0x40,  // mov eax, 0x40000000
                0x48, 0x8b, 0x18,  // mov rbx, qword [rax]
            ],
            .tripleFault, at: 0x7c00 + 5),
        Way(
            "a jump to a page that is not there", .long64,
            [
                0xb8, 0x00, 0x00, 0x00, 0x40,  // mov eax, 0x40000000
                0xff, 0xe0,  // jmp rax
            ],
            .tripleFault, at: 0x4000_0000),
        Way(
            "a jump to a page without memory", .long64,
            [
                0xb8, 0x00, 0x00, 0x00, 0x20,  // mov eax, 0x20000000
                0xff, 0xe0,  // jmp rax
            ],
            .codeOutsideMemory(at: GuestPhysicalAddress(0x2000_0000)), at: nil),
        Way(
            "a division by zero in long mode", .long64,
            [
                0x31, 0xc9,  // xor ecx, ecx
                0xf7, 0xf1,  // div ecx
            ],
            .tripleFault, at: 0x7c00 + 2),
    ]
}
