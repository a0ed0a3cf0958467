import CKVM
@testable import Counters
@testable import KVM
@testable import Memory
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// The CPUID of programs at privilege level 3, by the fault trap.
final class FaultTrapTests: XCTestCase {
    override func setUpWithError() throws {
        guard try TestKVM.shared().supportsFaultTrap() else {
            throw XCTSkip("CPUID at privilege level 3 does not fault on this bed")
        }
    }

    /// Leaves the interrupted RIP, RFLAGS and RSP at results 8, 9 and 10, the error code at 11, and ends the run with
    /// status 3.
    private static let report: [UInt8] = [
        0x48, 0x8b, 0x44, 0x24, 0x08,  // mov rax, [rsp + 8]
        0x48, 0x89, 0x04, 0x25, 0x40, 0xa0, 0x00, 0x00,  // mov [0xa040], rax
        0x48, 0x8b, 0x44, 0x24, 0x18,  // mov rax, [rsp + 24]
        0x48, 0x89, 0x04, 0x25, 0x48, 0xa0, 0x00, 0x00,  // mov [0xa048], rax
        0x48, 0x8b, 0x44, 0x24, 0x20,  // mov rax, [rsp + 32]
        0x48, 0x89, 0x04, 0x25, 0x50, 0xa0, 0x00, 0x00,  // mov [0xa050], rax
        0x48, 0x8b, 0x04, 0x24,  // mov rax, [rsp]
        0x48, 0x89, 0x04, 0x25, 0x58, 0xa0, 0x00, 0x00,  // mov [0xa058], rax
        0xb0, 0x03,  // mov al, 3
        0xe6, 0xf4,  // out 0xf4, al
    ]
    private static let nops: [UInt8] = [0x90, 0x90, 0x90]
    private static let clac: [UInt8] = [0x0f, 0x01, 0xca]

    /// CPUID with a leaf; EAX goes to a result.
    private static func ask(_ leaf: UInt32, into result: UInt8, cpuid: [UInt8] = [0x0f, 0xa2]) -> [UInt8] {
        let bytes = withUnsafeBytes(of: leaf.littleEndian, Array.init)
        return [0xb8] + bytes  // mov eax, leaf
            + cpuid
            + [0x48, 0x89, 0x04, 0x25, result * 8, 0xa0, 0x00, 0x00]  // mov [0xa000 + 8 * result], rax
    }

    /// An exit that is not CPUID's: mov eax, [0x100000].
    private static let touchMMIO: [UInt8] = [0x8b, 0x04, 0x25, 0x00, 0x00, 0x10, 0x00]
    private static let hlt: [UInt8] = [0xf4]
    private static let iretq: [UInt8] = [0x48, 0xcf]

    /// Whether a debug register stands at the handler: both ways, as far as they work on this bed.
    private func ways() throws -> [Bool] {
        try TestKVM.workingTraps().contains(.debug) ? [false, true] : [false]
    }

    private func assertGenuineFault(_ run: RingThreeRun, at offset: Int, line: UInt = #line) throws {
        guard case .exitPort(3) = run.ending else { return XCTFail(run.ending.summary, line: line) }
        XCTAssertEqual(try run.number(8), RingThreeSandbox.program + UInt64(offset), "RIP", line: line)
        XCTAssertEqual(try run.number(10), RingThreeSandbox.program, "RSP", line: line)
        XCTAssertEqual(try run.number(11), 0, "error code", line: line)
    }

    func testProgramReadsLiveCounters() throws {
        // The first exit arms the trap.
        var program = Self.touchMMIO
        for result in UInt8(0)..<4 { program += Self.ask(0x4fff_fffc, into: result) }
        for byDebugRegister in try ways() {
            let run = try RingThreeRun(
                program: program + Self.hlt, handler: Self.nops + Self.report + Self.iretq,
                byDebugRegister: byDebugRegister)
            try assertGenuineFault(run, at: program.count)
            XCTAssertEqual(try (0..<4).map(run.number), [2, 3, 4, 5])
            XCTAssertEqual(run.counters.exits(of: .cpuid), 4)
            XCTAssertEqual(run.counters.exits(of: .mmioRead), 1)
            XCTAssertEqual(run.counters.internalExits, 1, "the #GP of the HLT was brought out by the trap alone")
        }
    }

    func testOrdinaryLeavesAndPrefixes() throws {
        let program =
            Self.touchMMIO + Self.ask(0, into: 0) + Self.ask(0x4fff_fffc, into: 1, cpuid: [0x66, 0x0f, 0xa2])
            + Self.ask(0x4fff_fffc, into: 2, cpuid: [0xf2, 0x48, 0x0f, 0xa2])
        let run = try RingThreeRun(program: program + Self.hlt, handler: Self.nops + Self.report)
        try assertGenuineFault(run, at: program.count)
        let maximum = try XCTUnwrap(TestKVM.shared().supportedCPUID().entry(leaf: 0)?.result.eax)
        XCTAssertEqual(try run.number(0), UInt64(maximum))
        XCTAssertEqual(try run.number(1), 3)
        XCTAssertEqual(try run.number(2), 4)
    }

    /// Whichever way a program goes on: by its registers, or where an IRETQ of the guest's own stands by the handler and
    /// works on this bed, by that.
    func testFlagsAndStackOfTheProgramAreKept() throws {
        // stc; std; cpuid; pushfq; pop to result 0; cld
        let program =
            Self.touchMMIO + [0xf9, 0xfd, 0x0f, 0xa2, 0x9c] + [0x8f, 0x04, 0x25, 0x00, 0xa0, 0x00, 0x00] + [0xfc]
        for wayBack in [[], Self.iretq] {
            let run = try RingThreeRun(program: program + Self.hlt, handler: Self.nops + Self.report + wayBack)
            try assertGenuineFault(run, at: program.count)
            let carry: UInt64 = 1 << 0
            let direction: UInt64 = 1 << 10
            XCTAssertEqual(try run.number(0) & (carry | direction), carry | direction)
            XCTAssertEqual(try run.number(0) & RegisterBits.rflagsResume, 0)
            XCTAssertEqual(run.counters.exits(of: .cpuid), 1)
        }
    }

    func testEveryKnownFirstInstructionIsDone() throws {
        let starts: [[UInt8]] = [
            Self.nops, [0x66, 0x90], [0x0f, 0x1f, 0x00], [0x0f, 0x1f, 0x44, 0x00, 0x00], [0xf3, 0x0f, 0x1e, 0xfa],
            [0xfc, 0xfc], [0x90, 0x0f, 0x1f, 0x40, 0x00],
        ]
        for start in starts {
            let program = Self.touchMMIO + Self.ask(0x4fff_fffc, into: 0)
            for byDebugRegister in try ways() {
                let run = try RingThreeRun(
                    program: program + Self.hlt, handler: start + Self.report, byDebugRegister: byDebugRegister)
                try assertGenuineFault(run, at: program.count)
                XCTAssertEqual(try run.number(0), 2, "\(start)")
            }
        }
    }

    func testHandlerThatStartsWithSomethingElseIsLeftAlone() throws {
        let program = Self.touchMMIO + Self.ask(0x4fff_fffc, into: 0)
        // xor eax, eax; nop
        let run = try RingThreeRun(program: program, handler: [0x31, 0xc0, 0x90] + Self.report)
        // The CPUID's own #GP arrives at the handler, 12 bytes into the program.
        try assertGenuineFault(run, at: Self.touchMMIO.count + 5)
        XCTAssertEqual(run.counters.exits(of: .cpuid), 0)
    }

    func testGuestThatRewritesItsHandler() throws {
        // mov word [0x8000], 0x010f; mov byte [0x8002], 0xca: CLAC over the NOPs and the OUT.
        let rewrite: [UInt8] =
            [0x66, 0xc7, 0x04, 0x25, 0x00, 0x80, 0x00, 0x00] + Self.clac.prefix(2)
            + [0xc6, 0x04, 0x25, 0x02, 0x80, 0x00, 0x00, 0xca]
        let program =
            Self.touchMMIO + Self.ask(0x4fff_fffc, into: 0) + rewrite + Self.touchMMIO
            + Self.ask(0x4fff_fffc, into: 1)
        let run = try RingThreeRun(program: program + Self.hlt, handler: Self.nops + Self.report)
        try assertGenuineFault(run, at: program.count)
        XCTAssertEqual(try run.number(0), 2)
        XCTAssertEqual(try run.number(1), 4)
    }

    func testGuestThatMovesItsHandler() throws {
        // mov word [gate], 0xc000: the low half of the handler's address. Its bits 31:16 are 0 as before.
        let gate = RingThreeSandbox.interruptTable + InterruptGate.generalProtection * InterruptGate.size
        let address = withUnsafeBytes(of: UInt32(gate).littleEndian, Array.init)
        let move: [UInt8] = [0x66, 0xc7, 0x04, 0x25] + address + [0x00, 0xc0]
        let program =
            Self.touchMMIO + Self.ask(0x4fff_fffc, into: 0) + move + Self.touchMMIO + Self.touchMMIO
            + Self.ask(0x4fff_fffc, into: 1)
        for byDebugRegister in try ways() {
            let run = try RingThreeRun(
                program: program + Self.hlt, handler: Self.nops + [0x0f, 0x0b], byDebugRegister: byDebugRegister
            ) { memory, _ in
                try memory.write(Self.nops + Self.report, at: GuestPhysicalAddress(0xc000))
            }
            try assertGenuineFault(run, at: program.count)
            XCTAssertEqual(try run.number(0), 2)
            XCTAssertEqual(try run.number(1), 5)
            XCTAssertEqual(
                try run.memory.bytes(at: GuestPhysicalAddress(RingThreeSandbox.handler), count: 3), Self.nops,
                "the handler of before is as it was")
        }
    }

    func testErrorCodesAreNotTakenForCPUID() throws {
        // mov ax, 0x50; mov ds, ax: #GP with error code 0x50, and the bytes of a CPUID behind it.
        let program = Self.touchMMIO + [0x66, 0xb8, 0x50, 0x00, 0x8e, 0xd8, 0x0f, 0xa2]
        let run = try RingThreeRun(program: program, handler: Self.nops + Self.report)
        guard case .exitPort(3) = run.ending else { return XCTFail(run.ending.summary) }
        XCTAssertEqual(try run.number(8), RingThreeSandbox.program + UInt64(Self.touchMMIO.count) + 4)
        XCTAssertEqual(try run.number(11), 0x50)
        XCTAssertEqual(run.counters.exits(of: .cpuid), 0)
    }

    /// A burst of CPUIDs, more other exits than the trap expects within one, and CPUIDs again.
    func testCountersAreExactWithinABurstAndAfterIt() throws {
        var program = Self.touchMMIO
        for result in UInt8(0)..<3 { program += Self.ask(0x4fff_fffc, into: result) }
        for _ in 0..<(ExitsAfterAnswer.count + 2) { program += Self.touchMMIO }
        for result in UInt8(3)..<5 { program += Self.ask(0x4fff_fffc, into: result) }
        for byDebugRegister in try ways() {
            let run = try RingThreeRun(
                program: program + Self.hlt, handler: Self.nops + Self.report, byDebugRegister: byDebugRegister)
            try assertGenuineFault(run, at: program.count)
            XCTAssertEqual(try (0..<5).map(run.number), [2, 3, 4, 15, 16])
        }
    }
}

/// A vCPU whose program's CPUID has just arrived at the handler, without a run.
private struct ArrivedCPUID {
    let sandbox: RingThreeSandbox
    var general = GeneralRegisters()
    var special: SpecialRegisters
    /// Keeps KVM's machine.
    private let vcpu: VCPU

    init(handler: [UInt8], rflags: UInt64 = RegisterBits.rflagsReserved, stack: UInt16 = RingThreeSandbox.userData)
        throws
    {
        sandbox = try RingThreeSandbox(program: [0x0f, 0xa2], handler: handler)  // cpuid
        let machine = try VirtualMachine(kvm: TestKVM.shared(), memory: sandbox.memory)
        try machine.setRealModePages()
        vcpu = try machine.makeVCPU(id: 0)
        try sandbox.enter(vcpu)
        special = try vcpu.specialRegisters()
        // The handler runs at level 0.
        special.cs.dpl = 0
        // The frame of the program's #GP: error code, RIP, CS, RFLAGS, RSP, SS.
        let frame: [UInt64] = [
            0, RingThreeSandbox.program, UInt64(RingThreeSandbox.userCode), rflags, RingThreeSandbox.program,
            UInt64(stack),
        ]
        general.rip = RingThreeSandbox.handler
        general.rsp = RingThreeSandbox.stackEnd - 48
        for (index, word) in frame.enumerated() {
            try sandbox.memory.store(word, at: GuestPhysicalAddress(general.rsp + UInt64(index) * 8))
        }
    }

    /// A trap that knows the guest.
    func trap(usesInterruptReturn: Bool = true) -> FaultTrap {
        let trap = FaultTrap(
            memory: sandbox.memory, mechanism: .debugRegister, usesInterruptReturn: usesInterruptReturn)
        trap.follow(special)
        return trap
    }
}

/// How a program goes on after its CPUID.
final class FaultTrapWayBackTests: XCTestCase {
    private static let nops: [UInt8] = [0x90, 0x90, 0x90]
    /// NOPs, then HLT and IRETQ.
    private static let withReturn = nops + [0xf4, 0x48, 0xcf]
    private static let returnAddress = RingThreeSandbox.handler + 4

    private func wayBack(_ arrived: ArrivedCPUID, _ trap: FaultTrap) -> UInt64? {
        guard case .cpuid(let interrupted) = trap.verdict(arrived.general, arrived.special),
            case .interruptReturn(let address) = interrupted.wayBack
        else { return nil }
        return address
    }

    func testByTheGuestsOwnIRETQ() throws {
        var arrived = try ArrivedCPUID(handler: Self.withReturn, rflags: 0x1_0002)
        let trap = arrived.trap()
        XCTAssertEqual(wayBack(arrived, trap), Self.returnAddress)
        guard case .cpuid(let interrupted) = trap.verdict(arrived.general, arrived.special) else { return XCTFail() }
        let stack = arrived.general.rsp
        XCTAssertFalse(trap.resume(interrupted, &arrived.general, &arrived.special), "no segment is set")
        XCTAssertEqual(arrived.general.rip, Self.returnAddress)
        XCTAssertEqual(arrived.general.rsp, stack + 8, "the error code is off the stack")
        let frame = try (0..<6).map {
            try arrived.sandbox.memory.load(UInt64.self, at: GuestPhysicalAddress(stack + $0 * 8))
        }
        XCTAssertEqual(frame[1], RingThreeSandbox.program + 2, "after the CPUID")
        XCTAssertEqual(frame[3], 0x2, "without RF")
    }

    func testByRegistersWhereItIsNotToBeUsed() throws {
        let arrived = try ArrivedCPUID(handler: Self.withReturn)
        XCTAssertNil(wayBack(arrived, arrived.trap(usesInterruptReturn: false)))
        let without = try ArrivedCPUID(handler: Self.nops)
        XCTAssertNil(wayBack(without, without.trap()), "there is none")
        let stepping = try ArrivedCPUID(handler: Self.withReturn, rflags: 0x102)
        XCTAssertNil(wayBack(stepping, stepping.trap()), "its #DB would come late")
    }

    func testByRegistersOnceItIsNoLongerThere() throws {
        let arrived = try ArrivedCPUID(handler: Self.withReturn)
        let trap = arrived.trap()
        XCTAssertEqual(wayBack(arrived, trap), Self.returnAddress)
        try arrived.sandbox.memory.store(UInt8(0x90), at: GuestPhysicalAddress(Self.returnAddress))
        XCTAssertNil(wayBack(arrived, trap))
    }

    func testCodeThatMayNotBeExecutedIsNotUsed() throws {
        let arrived = try ArrivedCPUID(handler: Self.withReturn)
        // XD in the page directory's entry, of 2 MiB.
        let entry = GuestPhysicalAddress(0x3000)
        try arrived.sandbox.memory.store(arrived.sandbox.memory.load(UInt64.self, at: entry) | 1 << 63, at: entry)
        XCTAssertNil(wayBack(arrived, arrived.trap()))
    }
}

/// When the fault trap asks for the segment and control registers.
final class FaultTrapRegistersTests: XCTestCase {
    func testRegistersComeAlongForSomeExitsAfterAnAnswer() throws {
        let arrived = try ArrivedCPUID(handler: [0x90, 0x90, 0x90])  // NOPs
        let trap = arrived.trap()
        XCTAssertEqual(trap.breakpoint, RingThreeSandbox.handler)
        XCTAssertTrue(trap.wantsSpecialRegisters, "as long as there was no hit")
        guard case .cpuid(let interrupted) = trap.verdict(arrived.general, arrived.special) else {
            return XCTFail("no CPUID")
        }
        XCTAssertEqual(interrupted.length, 2)
        trap.follow(arrived.special)
        for exit in 0..<ExitsAfterAnswer.count {
            XCTAssertTrue(trap.wantsSpecialRegisters, "exit \(exit)")
            trap.follow(arrived.special)
        }
        XCTAssertFalse(trap.wantsSpecialRegisters)
    }
}

/// How long the fault trap asks for the registers at every exit.
final class FaultTrapAttentionTests: XCTestCase {
    private func trap(tableAt base: UInt64, _ sandbox: RingThreeSandbox, _ patches: HandlerPatches) -> FaultTrap {
        let trap = FaultTrap(memory: sandbox.memory, mechanism: .patch(patches))
        var special = SpecialRegisters()
        special.cr0 = RegisterBits.cr0ProtectionEnable | RegisterBits.cr0Paging
        special.cr3 = 0x1000
        special.cr4 = RegisterBits.cr4PhysicalAddressExtension
        special.efer = RegisterBits.eferLongModeEnable | RegisterBits.eferLongModeActive
        special.idt.base = base
        special.idt.limit = 0xfff
        trap.follow(special)
        return trap
    }

    func testOnlyUntilLinuxHasItsFinalTable() throws {
        // nop; nop; nop
        let sandbox = try RingThreeSandbox(program: [], handler: [0x90, 0x90, 0x90])
        let patches = HandlerPatches(memory: sandbox.memory, port: SiteTrap.candidatePorts[0])
        let handler = GuestPhysicalAddress(RingThreeSandbox.handler)
        XCTAssertTrue(trap(tableAt: RingThreeSandbox.interruptTable, sandbox, patches).wantsSpecialRegisters)
        XCTAssertEqual(try sandbox.memory.load(UInt8.self, at: handler), 0xe6, "it is armed")
        // The first 2 MiB once more, at the entry of Linux's table: entry 508 of the page-map level 4.
        let first = try sandbox.memory.load(UInt64.self, at: GuestPhysicalAddress(0x1000))
        try sandbox.memory.store(first, at: GuestPhysicalAddress(0x1000 + 508 * 8))
        let gate = try sandbox.memory.bytes(
            at: GuestPhysicalAddress(RingThreeSandbox.interruptTable + 13 * InterruptGate.size), count: 16)
        XCTAssertTrue(
            trap(tableAt: FaultTrap.finalTable, sandbox, patches).wantsSpecialRegisters, "there is no gate in it yet")
        try sandbox.memory.write(gate, at: GuestPhysicalAddress(13 * InterruptGate.size))
        let trap = trap(tableAt: FaultTrap.finalTable, sandbox, patches)
        XCTAssertFalse(trap.wantsSpecialRegisters)
        for _ in 0..<256 { trap.follow(nil) }
        XCTAssertTrue(trap.wantsSpecialRegisters, "now and then all the same")
    }
}
