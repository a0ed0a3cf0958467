@testable import Counters
@testable import Host
@testable import KVM
@testable import TestSupport
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// Guests that die: status 1, and a death report with the cause.
final class DyingGuestTests: KVMTestCase {
    private func check(
        _ arguments: [String], cause: String, says words: String, remedy: String, hasState: Bool = true,
        line: UInt = #line
    ) throws {
        let recorded = try RecordedRun(arguments)
        recorded.run.assertStatus(1, line: line)
        let lines = recorded.run.errors.split(separator: "\n")
        XCTAssertEqual(lines.first, "The guest died on vCPU 0: \(words).", line: line)
        XCTAssertEqual(lines.dropFirst().first, Substring(remedy), line: line)
        XCTAssertEqual(recorded.run.errors.contains("\n  code at 0x"), hasState, recorded.run.errors, line: line)
        XCTAssertFalse(recorded.run.errors.contains("Fatal error"), recorded.run.errors, line: line)
        XCTAssertEqual(recorded.ending, "died", line: line)
        XCTAssertEqual(recorded.record["outcome"]?["exit_status"]?.integer, 1, line: line)
        XCTAssertEqual(recorded.record["outcome"]?["death"]?["cause"]?.string, cause, line: line)
        XCTAssertEqual(recorded.record["outcome"]?["summary"]?.string, "the guest died: \(words)", line: line)
    }

    private static let vectorRemedy = "Install a handler for the vector, or look at the code at that address."

    func testTripleFault() throws {
        // On AMD's processors no registers are left.
        let isKept = try RecordedRun(["--guest", "triple-fault"]).record["outcome"]?["death"]?["mode"] != .null
        let state = VCPUSnapshot(
            mode: .real, privilegeLevel: 0, general: [], control: [], segments: [], linearInstructionPointer: 0,
            code: [])
        try check(
            ["--guest", "triple-fault"], cause: "triple_fault", says: "triple fault (KVM_EXIT_SHUTDOWN)",
            remedy: GuestDeath(cause: .tripleFault, vcpu: 0, state: isKept ? state : nil).remedy, hasState: isKept)
    }

    func testUndefinedInstruction() throws {
        try check(
            ["--guest", "fault"], cause: "unhandled_vector",
            says: "unhandled interrupt vector 0x06 (#UD, invalid opcode) at 0000:7C00", remedy: Self.vectorRemedy)
    }

    func testDivisionByZero() throws {
        // XOR, MOV and XOR take seven bytes.
        try check(
            ["--guest", "divide"], cause: "unhandled_vector",
            says: "unhandled interrupt vector 0x00 (#DE, divide error) at 0000:7C07", remedy: Self.vectorRemedy)
    }

    func testInterruptThatNobodyHandles() throws {
        // INT 21h.
        let image = try makeFolder().file("int.bin", [0xcd, 0x21, 0xf4])
        try check(
            [image], cause: "unhandled_interrupt", says: "unhandled INT 0x21 (DOS) at 0000:7C00",
            remedy: Self.vectorRemedy)
    }

    func testDeathReportHoldsTheStateAtTheFault() throws {
        let image = try makeFolder().file("divide.bin", [0xb8, 0x34, 0x12] + TinyGuest.divideByZero)
        let death = try XCTUnwrap(RecordedRun([image]).record["outcome"]?["death"])
        XCTAssertEqual(death["vcpu"], .integer(0))
        XCTAssertEqual(death["mode"], .string("real mode"))
        XCTAssertEqual(death["code"], .string("f6 f1" + String(repeating: " 00", count: 14)))
        for (name, value) in [
            ("rax", "0x1234"), ("rip", "0x7c03"), ("rsp", "0x7c00"), ("rdx", "0x80"), ("efer", "0x0"),
        ] {
            XCTAssertEqual(death["registers"]?[name], .string(value), name)
        }
    }

    func testInstructionThatKVMCannotEmulate() throws {
        let image = try makeFolder().file("sse.bin", TinyGuest.sse)
        let recorded = try RecordedRun([image])
        guard recorded.record["outcome"]?["death"]?["cause"]?.string == "emulation_failure" else {
            throw XCTSkip("this bed does not need KVM's emulator for SSE in ring 0: \(recorded.ending ?? "")")
        }
        try check(
            [image], cause: "emulation_failure", says: Self.emulationFailure(TinyGuest.sse, length: 15),
            remedy: GuestDeath(
                cause: .emulationFailure(instruction: []), vcpu: 0, state: nil,
                isRingZeroEmulated: try TestKVM.shared().linuxSupport() == .emulatesRingZero
            ).remedy)
    }

    func testKernelOnAKVMThatEmulatesRingZero() throws {
        guard try TestKVM.shared().linuxSupport() == .emulatesRingZero else {
            throw XCTSkip("the processor runs ring 0 on this bed")
        }
        var kernel = SampleELF()
        kernel.segments[0].bytes.replaceSubrange(0x40..<0x44, with: TinyGuest.sse)
        let image = try makeFolder().file("vmlinux", kernel.bytes)
        let run = try CommandLineRun(["run", image, "--stats", "none", "--force"])
        run.assertStatus(1)
        let lines = run.errors.split(separator: "\n").map(String.init)
        XCTAssertEqual(
            Array(lines.prefix(4)),
            [
                "minivmm: " + LinuxSupport.emulatesRingZero.verdict, "It is tried all the same.",
                "The guest died on vCPU 0: \(Self.emulationFailure(Array(kernel.segments[0].bytes[0x40...]), length: 15)).",
                "This KVM emulates ring 0 instead of letting the processor run it, and its emulator lacks that "
                    + "instruction: avoid it, or use a host with kvm_intel or kvm_amd. See `minivmm doctor`.",
            ])
    }

    /// The words for an instruction that cannot be emulated: KVM gives as many bytes as the longest may have.
    private static func emulationFailure(_ code: [UInt8], length: Int) -> String {
        let bytes = (code + [UInt8](repeating: 0, count: length)).prefix(length)
        return
            "KVM cannot emulate an instruction (KVM_EXIT_INTERNAL_ERROR, suberror 1), bytes \(Hex.bytes(Array(bytes)))"
    }
}
