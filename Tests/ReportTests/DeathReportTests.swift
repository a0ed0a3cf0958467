@testable import Counters
@testable import KVM
@testable import Memory
@testable import Report
@testable import TestSupport
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

final class DeathReportTests: XCTestCase {
    private static let state = VCPUSnapshot(
        mode: .protected32,
        privilegeLevel: 3,
        general: [
            .init(name: "rax", value: 1), .init(name: "rbx", value: .max), .init(name: "rip", value: 0x7c00),
            .init(name: "rflags", value: 2),
        ],
        control: [.init(name: "cr0", value: 0x11)],
        segments: [.init(name: "cs", selector: 0x1b, base: 0x10, limit: 0xffff_ffff)],
        linearInstructionPointer: 0x7c10,
        code: [0x0f, 0x0b, 0x00]
    )

    func testGoldenReport() {
        let death = GuestDeath(cause: .tripleFault, vcpu: 1, state: Self.state)
        XCTAssertEqual(
            DeathReport(death).text,
            """
            The guest died on vCPU 1: triple fault (KVM_EXIT_SHUTDOWN).
            Look at the registers and code below; an exception struck while its handlers were missing or broken.
              mode 32-bit protected mode, CPL 3
              rax    0000000000000001  rbx    ffffffffffffffff  rip    0000000000007c00
              rflags 0000000000000002
              cr0    0000000000000011
              cs     001b  base 0000000000000010  limit ffffffff
              code at 0x7c10: 0f 0b 00

            """)
    }

    func testBacktraceWithNames() {
        var state = Self.state
        state.backtrace = [0x8005, 0x9000]
        let death = GuestDeath(cause: .tripleFault, vcpu: 0, state: state)
        let names: [UInt64: String] = [0x7c10: "fail+0x10", 0x8004: "work+0x4"]
        let report = DeathReport(death, remedy: "Look.") { names[$0] }
        XCTAssertTrue(
            report.text.hasSuffix(
                """
                  code at 0x7c10: 0f 0b 00
                  in     0000000000007c10  fail+0x10
                  from   0000000000008005  work+0x4
                  from   0000000000009000  ?

                """), report.text)
        XCTAssertFalse(DeathReport(death, remedy: "Look.").text.contains("from"), "without symbols")
    }

    func testBacktraceByFramePointers() throws {
        let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 0x10000)])
        var special = SpecialRegisters()
        special.cr0 = RegisterBits.cr0ProtectionEnable
        special.cs.db = 1
        var registers = GeneralRegisters()
        // What is above 32 bits is not looked at.
        registers.rbp = 0xffff_0000_0000_1000
        func frame(_ address: UInt64, next: UInt32, returnsTo: UInt32) throws {
            try memory.store(next, at: GuestPhysicalAddress(address))
            try memory.store(returnsTo, at: GuestPhysicalAddress(address + 4))
        }
        try frame(0x1000, next: 0x1100, returnsTo: 0x7c20)
        try frame(0x1100, next: 0x1200, returnsTo: 0x7c40)
        func backtrace() -> [UInt64] {
            VCPUSnapshot(registers: registers, special: special, memory: memory).backtrace
        }
        try frame(0x1200, next: 0, returnsTo: 0x7c60)
        XCTAssertEqual(backtrace(), [0x7c20, 0x7c40, 0x7c60], "the outermost frame has none above")
        try frame(0x1100, next: 0x1000, returnsTo: 0x7c40)
        XCTAssertEqual(backtrace(), [0x7c20, 0x7c40], "a loop is not followed")
        registers.rbp = 0x1001
        XCTAssertEqual(backtrace(), [])
        registers.rbp = 0x1_0000
        XCTAssertEqual(backtrace(), [], "outside memory")
        registers.rbp = 0x1000
        special.cr0 = 0
        XCTAssertEqual(backtrace(), [], "in real mode there are no frames")
    }

    func testStateThatKVMDoesNotTell() {
        let death = GuestDeath(cause: .failEntry(hardwareReason: 0x8000_0021), vcpu: 0, state: nil)
        XCTAssertEqual(
            DeathReport(death).text,
            """
            The guest died on vCPU 0: the processor refuses to enter the guest (KVM_EXIT_FAIL_ENTRY, hardware reason \
            0x80000021).
            Look at the registers below and at `dmesg | tail`; `minivmm doctor` says which KVM this is.

            """)
    }

    func testTripleFaultWhoseStateIsLost() {
        let death = GuestDeath(cause: .tripleFault, vcpu: 0, state: nil)
        XCTAssertEqual(
            DeathReport(death).text,
            """
            The guest died on vCPU 0: triple fault (KVM_EXIT_SHUTDOWN).
            An exception struck while its handlers were missing or broken. This host's processor does not keep the \
            registers at a triple fault; what the guest did last, `--trace FILE` shows.

            """)
    }

    func testCodeThatIsNotMapped() {
        let state = VCPUSnapshot(
            mode: .long, privilegeLevel: 0, general: [], control: [], segments: [],
            linearInstructionPointer: 0xffff_8000_0000_0000, code: [])
        let death = GuestDeath(cause: .tripleFault, vcpu: 0, state: state)
        XCTAssertTrue(
            DeathReport(death).text.hasSuffix(
                "  mode 64-bit mode, CPL 0\n  code at 0xffff800000000000: not readable\n"), DeathReport(death).text)
    }

    func testCauses() {
        let address = SegmentedAddress(segment: 0x7c0, offset: 5)
        for (cause, name, summary): (GuestDeath.Cause, String, String) in [
            (
                .unhandledVector(13, at: address), "unhandled_vector",
                "unhandled interrupt vector 0x0d (#GP, general protection) at 07C0:0005"
            ),
            (
                .unhandledVector(9, at: address), "unhandled_vector",
                "unhandled interrupt vector 0x09 at 07C0:0005"
            ),
            (
                .unhandledVector(0x80, at: address), "unhandled_vector",
                "unhandled interrupt vector 0x80 at 07C0:0005"
            ),
            (
                .unhandledVector(13, at: nil), "unhandled_vector",
                "unhandled interrupt vector 0x0d, with a stack outside memory"
            ),
            (
                .unhandledInterrupt(0x13, at: address), "unhandled_interrupt",
                "unhandled INT 0x13 (the BIOS: disks) at 07C0:0005"
            ),
            (
                .unhandledInterrupt(0x21, at: address), "unhandled_interrupt",
                "unhandled INT 0x21 (DOS) at 07C0:0005"
            ),
            (.unhandledInterrupt(0x80, at: address), "unhandled_interrupt", "unhandled INT 0x80 at 07C0:0005"),
            (
                .codeOutsideMemory(at: GuestPhysicalAddress(0xa0000)), "code_outside_memory",
                "the guest jumped to 0xa0000, where there is no memory"
            ),
            (
                .emulationFailure(instruction: [0x0f, 0x58]), "emulation_failure",
                "KVM cannot emulate an instruction (KVM_EXIT_INTERNAL_ERROR, suberror 1), bytes 0f 58"
            ),
            (
                .emulationFailure(instruction: []), "emulation_failure",
                "KVM cannot emulate an instruction (KVM_EXIT_INTERNAL_ERROR, suberror 1)"
            ),
            (
                .internalError(suberror: 3), "internal_error",
                "KVM cannot go on (KVM_EXIT_INTERNAL_ERROR, suberror 3, event delivery)"
            ),
            (.internalError(suberror: 9), "internal_error", "KVM cannot go on (KVM_EXIT_INTERNAL_ERROR, suberror 9)"),
            (.crashEvent(type: 3), "crash_event", "the guest reports a crash (KVM_EXIT_SYSTEM_EVENT, type 3)"),
            (
                .unexpectedExit(name: "with an unknown reason", reason: 99), "unexpected_exit",
                "exit with an unknown reason (99) is not one that MiniVMM can serve"
            ),
        ] {
            XCTAssertEqual(cause.name, name)
            XCTAssertEqual(cause.summary, summary)
            XCTAssertTrue(cause.remedy.hasSuffix("."), cause.remedy)
        }
    }
}
