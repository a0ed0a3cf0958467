@testable import TestSupport
import XCTest

@testable import Boot
@testable import Counters
@testable import Debugger
@testable import Host
@testable import Memory
@testable import MiniVMM

/// Guests that a debugger of the tests' own stops and lets go on.
final class DebugMachineTests: KVMTestCase {
    /// The numbers of registers in a description of 32 bits.
    private enum Register {
        static let ecx = 1
        static let eip = 8
    }

    /// Stops of vCPU 0 at a breakpoint.
    private func assertStop(
        _ reply: String, _ suffix: String, file: StaticString = #filePath, line: UInt = #line
    ) {
        XCTAssertTrue(reply.hasPrefix("T05") && reply.hasSuffix(suffix), reply, file: file, line: line)
    }

    func testItWaitsBeforeTheFirstInstruction() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let client = try run.connect()
        XCTAssertEqual(try client.register(Register.eip), 0x7c00)
        XCTAssertEqual(run.machine.countersSoFar.exits, 0)
        assertStop(try client.ask("?"), "thread:1;")
        XCTAssertEqual(try client.ask("vCont;c"), "W00")
        XCTAssertTrue(try client.isClosed())
        XCTAssertEqual(try run.finish().ending.name, "halted")
    }

    /// Real, protected and long mode, by breakpoints of both kinds; and the counters are those of a run without.
    func testBreakpointsInEveryMode() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let client = try run.connect()
        for (kind, address) in [("0", DebugGuests.real), ("1", DebugGuests.protected), ("0", DebugGuests.long)] {
            XCTAssertEqual(try client.ask("Z\(kind),\(String(address, radix: 16)),1"), "OK")
        }
        for (reason, address, count) in [
            ("swbreak:;", DebugGuests.real, 1), ("hwbreak:;", DebugGuests.protected, 2),
            ("swbreak:;", DebugGuests.long, 3), ("swbreak:;", DebugGuests.long, 4),
        ] {
            assertStop(try client.ask("vCont;c"), "thread:1;" + reason)
            XCTAssertEqual(try client.register(Register.eip), address)
            XCTAssertEqual(try client.number(at: DebugGuests.variable), UInt32(count))
        }
        // One OUT since the last stop, and nothing of the debugger's own.
        XCTAssertTrue(try client.monitor("exits").hasPrefix("io_out                         1 exits "))
        XCTAssertEqual(try client.ask("D"), "OK")
        let outcome = try run.finish()
        XCTAssertEqual(outcome.ending.name, "halted")
        XCTAssertEqual(outcome.statistics.total.kinds.map(\.exits), [1002, 1])
        XCTAssertEqual(outcome.statistics.total.exits, 1003)
    }

    /// With four registers in use, the others are found by steps.
    func testMoreBreakpointsThanRegisters() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let client = try run.connect()
        for address in 0x100..<0x104 { XCTAssertEqual(try client.ask("Z1,\(String(address, radix: 16)),1"), "OK") }
        XCTAssertEqual(try client.ask("Z1,7c8c,1"), "OK")
        for count in 3...5 as ClosedRange<UInt32> {
            assertStop(try client.ask("vCont;c"), "thread:1;hwbreak:;")
            XCTAssertEqual(try client.register(Register.eip), DebugGuests.long)
            XCTAssertEqual(try client.number(at: DebugGuests.variable), count)
        }
        XCTAssertEqual(try client.ask("D"), "OK")
        XCTAssertEqual(try run.finish().statistics.total.exits, 1003)
    }

    /// Without debug registers, breakpoints are OUTs where there is no paging, and steps elsewhere.
    func testPatchesAndSteps() throws {
        try TestKVM.require(.patch)
        let support = DebugSupport(breakpoints: false, watchpoints: false, patches: true, steps: true)
        let run = try DebuggedMachine(DebugGuests.modes, support: support)
        let client = try run.connect()
        for (address, count) in [(DebugGuests.real, 1), (DebugGuests.protected, 2), (DebugGuests.long, 3)] {
            XCTAssertEqual(try client.ask("Z0,\(String(address, radix: 16)),1"), "OK")
            assertStop(try client.ask("vCont;c"), "thread:1;swbreak:;")
            XCTAssertEqual(try client.register(Register.eip), address)
            XCTAssertEqual(try client.number(at: DebugGuests.variable), UInt32(count))
            // The guest's own OUT stands there.
            XCTAssertEqual(try client.ask("m\(String(address, radix: 16)),2"), "e680")
        }
        XCTAssertEqual(try client.ask("Z2,7cc0,4"), "OK")
        assertStop(try client.ask("vCont;c"), "thread:1;watch:7cc0;")
        XCTAssertEqual(try client.register(Register.eip), DebugGuests.long)
        XCTAssertEqual(try client.ask("D"), "OK")
        XCTAssertEqual(try run.finish().statistics.total.exits, 1003)
    }

    /// The same breakpoint again and again, by the OUT that the guest comes back to.
    func testAPatchInALoop() throws {
        try TestKVM.require(.patch)
        let support = DebugSupport(breakpoints: false, watchpoints: false, patches: true, steps: true)
        let (image, outs) = try storm()
        let run = try DebuggedMachine(image, cpus: 2, argument: 50, support: support)
        let client = try run.connect()
        // DEC ECX after the OUT of vCPU 1: at its first, it has made one OUT.
        let address = String(outs[1] + 2, radix: 16)
        XCTAssertEqual(try client.ask("Z0,\(address),1"), "OK")
        for left in (46...50).reversed() {
            assertStop(try client.ask("vCont;c"), "thread:2;swbreak:;")
            XCTAssertEqual(try client.register(Register.eip), outs[1] + 2)
            XCTAssertEqual(try client.register(Register.ecx), UInt64(left))
            // As GDB gets over a breakpoint.
            XCTAssertEqual(try client.ask("z0,\(address),1"), "OK")
            assertStop(try client.ask("vCont;s:2"), "thread:2;")
            XCTAssertEqual(try client.ask("Z0,\(address),1"), "OK")
        }
        XCTAssertEqual(try client.ask("D"), "OK")
        let outcome = try run.finish()
        XCTAssertEqual(outcome.ending.name, "exit_port")
        XCTAssertEqual(outcome.statistics.total.kinds.first { $0.kind == .portOut }?.exits, 101)
    }

    /// The debugger sees a guest that has died before the run is over; after it has gone, there is nobody to wait for.
    func testADeath() throws {
        for isWatched in [true, false] {
            let run = try DebuggedMachine(TinyGuest.divideByZero)
            let client = try run.connect()
            if isWatched {
                let reply = try client.ask("vCont;c")
                XCTAssertTrue(reply.hasPrefix("T0b") && reply.hasSuffix("thread:1;"), reply)
                // FLAGS, CS and IP on the stack: the DIV at 0000:7C00.
                XCTAssertEqual(try client.register(4), 0x7c00 - 6)
                XCTAssertEqual(try client.number(at: 0x7c00 - 6), 0x0000_7c00)
                XCTAssertEqual(try client.ask("vCont;c"), "X0b")
            } else {
                XCTAssertEqual(try client.ask("D"), "OK")
            }
            let outcome = try run.finish()
            XCTAssertEqual(outcome.ending.name, "died")
            XCTAssertEqual(outcome.statistics.total.exits, 1)
        }
    }

    func testAVariableIsWatched() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let client = try run.connect()
        XCTAssertEqual(try client.ask("Z2,7cc0,4"), "OK")
        for (count, after) in [(1, DebugGuests.real), (2, DebugGuests.protected), (3, DebugGuests.long)] {
            assertStop(try client.ask("vCont;c"), "thread:1;watch:7cc0;")
            XCTAssertEqual(try client.number(at: DebugGuests.variable), UInt32(count))
            XCTAssertEqual(try client.register(Register.eip), after)
        }
        XCTAssertEqual(try client.ask("z2,7cc0,4"), "OK")
        XCTAssertEqual(try client.ask("vCont;c"), "W00")
        XCTAssertEqual(try run.finish().statistics.total.exits, 1003)
    }

    /// Every instruction of the guest's way into long mode, and on through its loop, OUTs included.
    func testAThousandSteps() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let client = try run.connect()
        var addresses: [UInt64] = []
        for _ in 0..<1000 {
            assertStop(try client.ask("vCont;s:1"), "thread:1;")
            addresses.append(try client.register(Register.eip))
        }
        XCTAssertEqual(
            addresses.prefix(9), [0x7c02, 0x7c04, 0x7c05, 0x7c0a, 0x7c0c, 0x7c12, 0x7c18, 0x7c1b, 0x7c23])
        // 9 instructions to protected mode, 20 from there, and the MOV to ECX; then the loop of four. A processor, other
        // than KVM's emulator, takes the MOV to SS and the next instruction in one step.
        let start = try XCTUnwrap(addresses.firstIndex(of: DebugGuests.increment))
        XCTAssertTrue([28, 29].contains(start), "\(start)")
        let turns = addresses[start...]
        for (index, address) in turns.enumerated() {
            XCTAssertEqual(address, [DebugGuests.increment, DebugGuests.long, 0x7c8e, 0x7c90][index % 4])
        }
        XCTAssertEqual(try client.number(at: DebugGuests.variable), 2 + UInt32((turns.count - 1 + 3) / 4))
        XCTAssertEqual(try client.ask("D"), "OK")
        XCTAssertEqual(try run.finish().statistics.total.exits, 1003)
    }

    /// HLT is an exit of the guest's, and ends the run as it does without a debugger.
    func testAStepOverTheEnd() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let client = try run.connect()
        XCTAssertEqual(try client.ask("Z1,7c92,1"), "OK")
        assertStop(try client.ask("vCont;c"), "hwbreak:;")
        XCTAssertEqual(try client.ask("vCont;s:1"), "W00")
        let outcome = try run.finish()
        XCTAssertEqual(outcome.ending.name, "halted")
        XCTAssertEqual(outcome.statistics.total.exits, 1003)
    }

    /// A debugger changes what the guest goes on with.
    func testRegistersAndMemoryAreChanged() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let client = try run.connect()
        XCTAssertEqual(try client.ask("Z1,7c8c,1"), "OK")
        assertStop(try client.ask("vCont;c"), "hwbreak:;")
        XCTAssertEqual(try client.register(Register.ecx), 1000)
        XCTAssertEqual(try client.ask("P1=02000000"), "OK")
        XCTAssertEqual(try client.ask("M7cc0,4:78563412"), "OK")
        // All registers at once, with the x87 and SSE registers and the control registers.
        XCTAssertEqual(try client.ask("G" + client.ask("g")), "OK")
        assertStop(try client.ask("vCont;c"), "hwbreak:;")
        XCTAssertEqual(try client.register(Register.ecx), 1)
        XCTAssertEqual(try client.number(at: DebugGuests.variable), 0x1234_5679)
        XCTAssertEqual(try client.ask("z1,7c8c,1"), "OK")
        // From the HLT on: the OUT that it stands at is not made.
        XCTAssertEqual(try client.ask("c7c92"), "W00")
        // Two in the modes before, and one of two in the loop; and the HLT.
        XCTAssertEqual(try run.finish().statistics.total.exits, 4)
    }

    func testAnInterruptAndDetaching() throws {
        let run = try DebuggedMachine(DebugGuests.endless, waits: false)
        for _ in 0..<3 {
            let client = try run.connect()
            for _ in 0..<20 {
                client.send("vCont;c")
                client.send(bytes: [3])
                let reply = try client.answer(to: "an interrupt")
                XCTAssertTrue(reply.hasPrefix("T02") && reply.hasSuffix("thread:1;"), reply)
                XCTAssertTrue([0x7c00, 0x7c01].contains(try client.register(Register.eip)))
            }
            XCTAssertEqual(try client.ask("D"), "OK")
        }
        run.machine.control.stop(.stopped)
        let outcome = try run.finish()
        XCTAssertEqual(outcome.statistics.total.exits, 0)
    }

    func testKilling() throws {
        let run = try DebuggedMachine(DebugGuests.endless)
        try run.connect().send("k")
        guard case .signal(9) = try run.finish().ending else { return XCTFail("not killed") }
    }

    /// A debugger that has gone without a word leaves a stopped guest for the next.
    func testTheNextDebugger() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        do {
            let client = try run.connect()
            XCTAssertEqual(try client.ask("Z1,7c8c,1"), "OK")
            assertStop(try client.ask("vCont;c"), "hwbreak:;")
        }
        let client = try run.connect()
        // Now in 64 bits: RIP is the seventeenth register, and RAX has eight bytes.
        XCTAssertEqual(try client.register(16), DebugGuests.long)
        XCTAssertEqual(try client.ask("p0").utf8.count, 16)
        // The breakpoint went with its debugger.
        XCTAssertEqual(try client.ask("vCont;c"), "W00")
        XCTAssertEqual(try run.finish().ending.name, "halted")
    }

    func testHostileBytesDoNotDisturbTheGuest() throws {
        let run = try DebuggedMachine(DebugGuests.modes)
        let client = try run.connect()
        var generator = SeededGenerator(seed: 16)
        for _ in 0..<64 {
            // Nothing that would let it go, end it, or change it.
            let noise = (0..<256).map { _ in UInt8.random(in: 0...255, using: &generator) }
            client.send(bytes: noise.filter { $0 != UInt8(ascii: "$") })
        }
        client.send(bytes: Array("####".utf8))
        XCTAssertEqual(try client.register(Register.eip), 0x7c00)
        XCTAssertEqual(try client.ask("vCont;c"), "W00")
        XCTAssertEqual(try run.finish().statistics.total.exits, 1003)
    }

    func testASocketInTheFileSystem() throws {
        let path = try makeFolder().path("gdb")
        let run = try DebuggedMachine(DebugGuests.modes, address: .path(path))
        var information = stat()
        XCTAssertEqual(stat(path, &information), 0)
        XCTAssertEqual(information.st_mode & 0o777, 0o600)
        XCTAssertThrowsError(try LocalListener(at: .path(path))) { error in
            XCTAssertEqual(error as? ListenError, ListenError(address: .path(path), number: .addressInUse))
        }
        XCTAssertEqual(try run.connect().ask("vCont;c"), "W00")
        _ = try run.finish()
    }

    // MARK: Counters

    /// What a guest counts is the same, whether it runs or is stepped through.
    func testSteppingDoesNotChangeWhatTheGuestCounts() throws {
        try TestKVM.require(.patch)
        for steps in [false, true] {
            let run = try DebuggedMachine(DebugGuests.twoReadings)
            let client = try run.connect()
            XCTAssertEqual(try client.ask("Z1,7c1c,1"), "OK")
            var reply = try client.ask(steps ? "vCont;s:1" : "vCont;c")
            while steps, try client.register(Register.eip) != 0x7c1c { reply = try client.ask("vCont;s:1") }
            assertStop(reply, "thread:1;" + (steps ? "" : "hwbreak:;"))
            XCTAssertEqual(try client.number(at: 0x8000), 1, "steps: \(steps)")
            XCTAssertEqual(try client.number(at: 0x8004), 4, "steps: \(steps)")
            XCTAssertEqual(try client.ask("D"), "OK")
            let outcome = try run.finish()
            XCTAssertEqual(outcome.trap, .patch)
            XCTAssertEqual(outcome.statistics.total.exits, 5)
        }
    }

    /// Debug registers and single steps are the debugger's.
    func testTrapsThatNeedThemAreRefused() throws {
        for trap in [CPUIDTrap.debug, .step] {
            XCTAssertThrowsError(try DebuggedMachine(DebugGuests.twoReadings, trap: trap)) { error in
                XCTAssertEqual(error as? SiteTrapError, .notWithDebugger(trap))
            }
        }
    }

    // MARK: Several vCPUs

    /// The addresses of the OUTs in `storm-smp`: of the first vCPU, and of the others.
    private func storm() throws -> (image: [UInt8], outs: [UInt64]) {
        let image = try XCTUnwrap(BuiltInGuest(named: "storm-smp")).image
        let outs = image.indices.dropLast().filter { image[$0] == 0xe6 && image[$0 + 1] == 0x80 }
        XCTAssertEqual(outs.count, 2)
        return (image, outs.map { 0x7c00 + UInt64($0) })
    }

    func testBreakpointsOfTwoVCPUs() throws {
        let (image, outs) = try storm()
        let run = try DebuggedMachine(image, cpus: 2, argument: 100)
        let client = try run.connect()
        XCTAssertEqual(try client.ask("qfThreadInfo"), "m1,2")
        for out in outs { XCTAssertEqual(try client.ask("Z1,\(String(out, radix: 16)),1"), "OK") }
        // Whichever comes first to its own.
        var stopped: Set<Int> = []
        for _ in outs {
            let reply = try client.ask("vCont;c")
            let vcpu = reply.hasSuffix("thread:1;hwbreak:;") ? 0 : 1
            assertStop(reply, "thread:\(vcpu + 1);hwbreak:;")
            stopped.insert(vcpu)
            XCTAssertEqual(try client.register(Register.eip), outs[vcpu])
            XCTAssertEqual(try client.ask("z1,\(String(outs[vcpu], radix: 16)),1"), "OK")
        }
        XCTAssertEqual(stopped, [0, 1])
        XCTAssertEqual(try client.ask("D"), "OK")
        let outcome = try run.finish()
        XCTAssertEqual(outcome.ending.name, "exit_port")
        // 100 each.
        let kinds = outcome.statistics.total.kinds
        XCTAssertEqual(kinds.first { $0.kind == .portOut }?.exits, 201)
    }

    /// One vCPU steps while the other stays where it is, and while it runs.
    func testOneVCPUSteps() throws {
        let (image, outs) = try storm()
        let run = try DebuggedMachine(image, cpus: 2, argument: 1_000_000)
        let client = try run.connect()
        XCTAssertEqual(try client.ask("Z1,\(String(outs[1], radix: 16)),1"), "OK")
        assertStop(try client.ask("vCont;c"), "thread:2;hwbreak:;")
        XCTAssertEqual(try client.ask("z1,\(String(outs[1], radix: 16)),1"), "OK")
        XCTAssertEqual(try client.ask("Hg1"), "OK")
        let first = try (client.register(Register.eip), client.register(Register.ecx))
        for step in 0..<30 {
            assertStop(try client.ask("vCont;s:2"), "thread:2;")
            // OUT, DEC, JNZ.
            let offset: UInt64 = [2, 4, 0][step % 3]
            XCTAssertEqual(try client.register(Register.eip), outs[1] + offset, "step \(step)")
            XCTAssertEqual(try client.ask("Hg1"), "OK")
            XCTAssertEqual(try client.register(Register.eip), first.0, "held")
            XCTAssertEqual(try client.register(Register.ecx), first.1, "held")
        }
        for _ in 0..<30 { assertStop(try client.ask("vCont;s:2;c"), "thread:2;") }
        client.send("k")
        XCTAssertEqual(try run.finish().ending.name, "signal")
    }
}
