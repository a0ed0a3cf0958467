@testable import Boot
@testable import Counters
@testable import KVM
@testable import Memory
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Guests that step themselves, by the trap flag: a CPUID that a trap services is a step like any other.
final class SingleStepGuestTests: XCTestCase {
    /// Where the handler of #DB leaves the instruction pointers that it finds, and then DR6.
    private static let pointers: UInt64 = 0x9000

    /// Steps over NOP, CPUID and NOP, with the handler below.
    private static let code: [UInt8] = [
        0xc7, 0x06, 0x04, 0x00, 0x40, 0x7c,  // mov word [4], 0x7c40: the offset of vector 1
        0xc7, 0x06, 0x06, 0x00, 0x00, 0x00,  // mov word [6], 0: its segment
        0xbf, 0x00, 0x90,  // mov di, 0x9000
        0x66, 0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
        0x9c, 0x5d,  // pushf; pop bp
        0x81, 0xcd, 0x00, 0x01,  // or bp, 0x100: the trap flag
        0x55, 0x9d,  // push bp; popf
        0x90,  // 0x7c1d: nop
        0x0f, 0xa2,  // 0x7c1e: cpuid
        0x90,  // 0x7c20: nop
        0x81, 0xe5, 0xff, 0xfe,  // 0x7c21: and bp, 0xfeff
        0x55, 0x9d,  // 0x7c25: push bp; popf
        0xf4,  // 0x7c27: hlt
    ]
    private static let handler: [UInt8] = [
        0x89, 0xe6,  // mov si, sp
        0x36, 0x8b, 0x34,  // mov si, ss:[si]
        0x89, 0x35,  // mov [di], si
        0x83, 0xc7, 0x02,  // add di, 2
        0xcf,  // iret
    ]

    private func pointers(_ trap: CPUIDTrap) throws -> [UInt16] {
        let padding = [UInt8](repeating: 0x90, count: 0x40 - Self.code.count)
        let run = try GuestRun(Self.code + padding + Self.handler, trap: trap, timeout: .seconds(60))
        guard case .halted = run.outcome.ending else {
            XCTFail("\(trap): \(run.outcome.ending.summary)")
            return []
        }
        if trap != .none { XCTAssertEqual(run.exits(.cpuid), 1, "\(trap)") }
        return try (0..<6).map {
            try run.memory.load(UInt16.self, at: GuestPhysicalAddress(Self.pointers + UInt64($0) * 2))
        }
    }

    /// The last step is that of the POPF which clears the flag: the flag was set when it began.
    private static let steps: [UInt16] = [0x7c1e, 0x7c20, 0x7c21, 0x7c25, 0x7c26, 0x7c27]

    func testWithoutATrap() throws { XCTAssertEqual(try pointers(.none), Self.steps) }

    func testDebugRegisters() throws {
        try TestKVM.require(.debug)
        XCTAssertEqual(try pointers(.debug), Self.steps)
    }

    func testPatch() throws {
        try TestKVM.require(.patch)
        XCTAssertEqual(try pointers(.patch), Self.steps)
    }

    /// A program at privilege level 3, whose CPUID the fault trap services.
    func testFaultTrap() throws {
        guard try TestKVM.shared().supportsFaultTrap() else {
            throw XCTSkip("CPUID at privilege level 3 does not fault on this bed")
        }
        let touchMMIO: [UInt8] = [0x8b, 0x04, 0x25, 0x00, 0x00, 0x10, 0x00]  // mov eax, [0x100000]: the trap is armed
        let program: [UInt8] =
            touchMMIO + [0xb8, 0xfc, 0xff, 0xff, 0x4f]  // mov eax, 0x4ffffffc
            + [
                0x9c,  // pushfq
                0x48, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00,  // or qword [rsp], 0x100
                0x9d,  // popfq
                0x0f, 0xa2,  // cpuid
                0x90, 0x90,  // nop; nop
            ]
        // #DB: leave the interrupted RIP, DR6 and EAX, and end the run with status 5.
        let handler: [UInt8] = [
            0x48, 0x89, 0x04, 0x25, 0x10, 0xa0, 0x00, 0x00,  // mov [0xa010], rax
            0x48, 0x8b, 0x04, 0x24,  // mov rax, [rsp]
            0x48, 0x89, 0x04, 0x25, 0x00, 0xa0, 0x00, 0x00,  // mov [0xa000], rax
            0x0f, 0x21, 0xf0,  // mov rax, dr6
            0x48, 0x89, 0x04, 0x25, 0x08, 0xa0, 0x00, 0x00,  // mov [0xa008], rax
            0xb0, 0x05, 0xe6, 0xf4,  // mov al, 5; out 0xf4, al
        ]
        for byDebugRegister in try TestKVM.workingTraps().contains(.debug) ? [false, true] : [false] {
            let run = try RingThreeRun(
                program: program, handler: [0x90, 0x90, 0x90, 0xf4], byDebugRegister: byDebugRegister
            ) { memory, _ in
                try memory.write(handler, at: GuestPhysicalAddress(0xc000))
                try RingThreeSandbox.writeGate(1, handler: 0xc000, to: memory)
            }
            guard case .exitPort(5) = run.ending else { return XCTFail(run.ending.summary) }
            let end = RingThreeSandbox.program + UInt64(program.count - 2)
            XCTAssertEqual(try run.number(0), end, "right after the CPUID")
            XCTAssertEqual(try run.number(1) & DebugStatus.singleStep, DebugStatus.singleStep)
            XCTAssertEqual(try run.number(2), 2, "the answer is there")
        }
    }
}

/// Where breakpoints go when a CPUID may have prefixes.
final class PrefixedSiteTests: XCTestCase {
    private func starts(_ image: [UInt8]) -> [UInt64] {
        let sites = CPUIDSites(scanning: image, loadedAt: 0x100)
        return CPUIDSites.possibleStarts(of: sites, in: image, loadedAt: 0x100).addresses
    }

    private func mayHaveREX(_ image: [UInt8]) -> Bool {
        CPUIDSites.mayHaveREX(CPUIDSites(scanning: image, loadedAt: 0x100), in: image, loadedAt: 0x100)
    }

    func testPossibleStarts() {
        XCTAssertEqual(starts([0x0f, 0xa2]), [0x100])
        XCTAssertEqual(starts([0x90, 0x0f, 0xa2]), [0x101])
        XCTAssertEqual(starts([0x90, 0x66, 0x0f, 0xa2]), [0x101, 0x102])
        XCTAssertEqual(starts([0x66, 0x67, 0xf3, 0x0f, 0xa2]), [0x100, 0x101, 0x102, 0x103])
        XCTAssertEqual(starts([0xf0, 0x0f, 0xa2]), [0x101], "LOCK CPUID is an invalid opcode")
    }

    func testREX() {
        XCTAssertTrue(mayHaveREX([0x48, 0x0f, 0xa2]))
        XCTAssertFalse(mayHaveREX([0x66, 0x0f, 0xa2]))
        XCTAssertFalse(mayHaveREX([0x0f, 0xa2]))
        // mov eax, 0x4ffffffe; cpuid
        XCTAssertFalse(mayHaveREX([0xb8, 0xfe, 0xff, 0xff, 0x4f, 0x0f, 0xa2]))
        XCTAssertTrue(mayHaveREX([0xb8, 0xfe, 0xff, 0xfe, 0x4f, 0x0f, 0xa2]))
    }

    /// mov eax, 0x4ffffffc; 66 cpuid; mov [0x9000], eax; hlt
    private static let prefixed: [UInt8] = [
        0x66, 0xb8, 0xfc, 0xff, 0xff, 0x4f, 0x66, 0x0f, 0xa2, 0x66, 0xa3, 0x00, 0x90, 0xf4,
    ]

    func testEveryTrapCatchesAPrefixedCPUID() throws {
        for trap in [CPUIDTrap.auto] + (try TestKVM.workingTraps()) {
            let run = try GuestRun(Self.prefixed, trap: trap)
            guard case .halted = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
            XCTAssertEqual(try run.number(at: 0x9000), 1, "\(trap)")
            XCTAssertEqual(run.exits(.cpuid), 1, "\(trap)")
            if trap == .auto { XCTAssertNotEqual(run.outcome.trap, .debug) }
        }
    }

    func testAPrefixMayBeNamedAsTheSite() throws {
        try TestKVM.require(.debug)
        let run = try GuestRun(Self.prefixed, trap: .debug, sites: [0x7c06])
        XCTAssertEqual(try run.number(at: 0x9000), 1)
        XCTAssertEqual(run.exits(.cpuid), 1)
    }

    func testFourCounterLeavesStillHaveDebugRegisters() throws {
        try TestKVM.require(.debug)
        let ask: [UInt8] = [0x66, 0xb8, 0xfc, 0xff, 0xff, 0x4f, 0x0f, 0xa2]  // mov eax, 0x4ffffffc; cpuid
        let run = try GuestRun([[UInt8]](repeating: ask, count: 4).flatMap(\.self) + [0xf4], trap: .auto)
        XCTAssertEqual(run.outcome.trap, .debug)
        XCTAssertEqual(run.exits(.cpuid), 4)
    }
}
