import XCTest

@testable import Counters
@testable import Debugger
@testable import KVM
@testable import Memory
@testable import MiniVMM

/// Conversations, packet by packet.
final class RemoteSessionTests: XCTestCase {
    private func conversation(is64Bit: Bool = true) throws -> Conversation {
        Conversation(try FakeTarget(is64Bit: is64Bit))
    }

    /// Without paging: physical addresses, of which there are two pages.
    private func flat() throws -> Conversation { try conversation(is64Bit: false) }

    private func sent(_ text: String) -> [UInt8] { RemotePacket.encode(text.utf8) }

    func testAcknowledgementsUntilTheyAreSwitchedOff() throws {
        var session = RemoteSession(try FakeTarget())
        XCTAssertEqual(session.receive(Array("$qC#b4".utf8)), Array("+".utf8) + sent("QC1"))
        XCTAssertEqual(session.receive(Array("-".utf8)), sent("QC1"))
        XCTAssertEqual(session.receive(Array("$qC#b5".utf8)), Array("-".utf8))
        XCTAssertEqual(session.receive(Array("+".utf8)), [])
        XCTAssertEqual(session.receive(sent("QStartNoAckMode")), Array("+".utf8) + sent("OK"))
        XCTAssertEqual(session.receive(sent("qC")), sent("QC1"))
        XCTAssertEqual(session.receive(Array("$qC#b5".utf8)), [])
        XCTAssertEqual(session.receive(Array("-".utf8)), [])
    }

    func testWhatIsSupported() throws {
        var talk = try conversation()
        XCTAssertEqual(
            talk.ask("qSupported:multiprocess+;swbreak+;hwbreak+"),
            "PacketSize=4000;QStartNoAckMode+;qXfer:features:read+;vContSupported+;swbreak+;hwbreak+")
        XCTAssertEqual(
            talk.ask("qSupported"), "PacketSize=4000;QStartNoAckMode+;qXfer:features:read+;vContSupported+")
        XCTAssertEqual(talk.ask("vCont?"), "vCont;c;C;s;S")
        for unknown in ["vMustReplyEmpty", "!", "R00", "qTStatus", "bc", "", "Q", "v", "qXfer:auxv:read::0,10"] {
            XCTAssertEqual(talk.ask(unknown), "", unknown)
        }
    }

    func testTheDescriptionComesInParts() throws {
        var talk = try conversation()
        let document = RegisterLayout(.x86_64).description
        var read = ""
        while true {
            let part = try XCTUnwrap(
                talk.ask("qXfer:features:read:target.xml:\(String(read.utf8.count, radix: 16)),200"))
            read += part.dropFirst()
            guard part.hasPrefix("m") else { break }
            XCTAssertEqual(part.utf8.count, 0x201)
        }
        XCTAssertEqual(read, document)
        XCTAssertEqual(talk.ask("qXfer:features:read:target.xml:ffffffffffffffff,1"), "l")
        XCTAssertEqual(talk.ask("qXfer:features:read:other.xml:0,1"), "E00")
    }

    func testThreads() throws {
        var talk = try conversation()
        XCTAssertEqual(talk.ask("qfThreadInfo"), "m1,2")
        XCTAssertEqual(talk.ask("qsThreadInfo"), "l")
        XCTAssertEqual(talk.ask("T2"), "OK")
        XCTAssertEqual(talk.ask("T3"), "E01")
        XCTAssertEqual(talk.ask("Hg2"), "OK")
        XCTAssertEqual(talk.ask("qC"), "QC2")
        XCTAssertEqual(talk.ask("Hg3"), "E01")
        XCTAssertEqual(talk.ask("Hg0"), "OK")
        XCTAssertEqual(talk.ask("Hc-1"), "OK")
        XCTAssertEqual(talk.ask("Hx1"), "E01")
        let words = try XCTUnwrap(talk.ask("qThreadExtraInfo,2").flatMap { Hexadecimal.bytes($0.utf8) })
        XCTAssertEqual(String(decoding: words, as: UTF8.self), "vCPU 1, 64-bit mode")
    }

    func testRegisters() throws {
        var talk = try conversation()
        talk.target.change(1) { $0.general.rax = 0x1122_3344_5566_7788 }
        XCTAssertEqual(talk.ask("p0"), "0000000000000000")
        XCTAssertEqual(talk.ask("p10"), "3412000000000000")
        _ = talk.ask("Hg2")
        XCTAssertEqual(talk.ask("p0"), "8877665544332211")
        XCTAssertEqual(talk.ask("P1=0100000000000000"), "OK")
        XCTAssertEqual(talk.target.states[1].general.rbx, 1)
        XCTAssertEqual(talk.target.states[0].general.rbx, 0)
        for wrong in ["p", "pffff", "P1", "P1=", "P1=00", "P1=000000000000000g", "Pfff=00", "G00", "G"] {
            XCTAssertEqual(talk.ask(wrong), "E01", wrong)
        }
        let all = try XCTUnwrap(talk.ask("g"))
        XCTAssertEqual(all.utf8.count, 2 * RegisterLayout(.x86_64).size)
        XCTAssertEqual(talk.ask("G" + all), "OK")
        XCTAssertEqual(talk.ask("g"), all)
    }

    func testMemory() throws {
        var talk = try flat()
        XCTAssertEqual(talk.ask("M100,3:0a0b0c"), "OK")
        XCTAssertEqual(talk.ask("mff,5"), "000a0b0c00")
        XCTAssertEqual(talk.ask(Array("X101,2:".utf8) + [0x24, 0x7d]), "OK")
        XCTAssertEqual(talk.ask("m100,4"), "0a247d00")
        XCTAssertEqual(talk.ask("X0,0:"), "OK")
        // The end of memory: as much as there is, and nothing is written in part.
        XCTAssertEqual(talk.ask("m1ffe,10"), "0000")
        XCTAssertEqual(talk.ask("M1fff,2:0101"), "E0e")
        XCTAssertEqual(talk.ask("m1fff,1"), "00")
        XCTAssertEqual(talk.ask("m2000,1"), "E0e")
        for wrong in ["m", "m1", "m1,", "m,1", "m1,2,3", "M1,1", "M1,2:00", "M1,1:0", "X1,1:", "mffffffffffffffff1,1"] {
            XCTAssertEqual(talk.ask(wrong), "E01", wrong)
        }
        // As much as a packet holds.
        XCTAssertEqual(talk.ask("m0,ffffffffffffffff")?.utf8.count, 2 * 0x1fff)
    }

    /// With paging on and no tables there is nothing; by physical address there is.
    func testPhysicalAddresses() throws {
        var talk = try conversation()
        talk.target.change(0) { state in
            state.special.cr0 = RegisterBits.cr0Paging
            state.special.cr3 = 0x1000
        }
        try talk.target.memory.write([1, 2, 3], at: GuestPhysicalAddress(0x10))
        XCTAssertEqual(talk.ask("m10,3"), "E0e")
        XCTAssertEqual(talk.ask("qqemu.PhyMemMode"), "0")
        XCTAssertEqual(talk.ask("Qqemu.PhyMemMode:1"), "OK")
        XCTAssertEqual(talk.ask("m10,3"), "010203")
        XCTAssertEqual(talk.ask("M10,1:ff"), "OK")
        XCTAssertEqual(talk.ask("Qqemu.PhyMemMode:0"), "OK")
        XCTAssertEqual(talk.ask("m10,3"), "E0e")
        XCTAssertEqual(talk.monitor("physical 0x10 3"), "0x10: ff 02 03\n")
        XCTAssertEqual(talk.monitor("physical 9999999 3"), "There is no memory at 0x98967f.\n")
        XCTAssertEqual(talk.monitor("physical x 3"), "ADDRESS and COUNT are numbers.\n")
    }

    func testGoingOn() throws {
        var talk = try conversation()
        for (packet, motions) in [
            ("vCont;c", [.running, .running]), ("vCont;s:1;c", [.stepping, .running]),
            ("vCont;s:2", [.held, .stepping]), ("vCont;C05:2;S05:1;c", [.stepping, .running]),
            ("vCont;c:-1", [.running, .running]), ("c", [.running, .running]), ("s", [.running, .stepping]),
        ] as [(String, [DebugControl.Motion])] {
            XCTAssertNil(talk.ask(packet), packet)
            XCTAssertEqual(talk.target.motions, motions, packet)
            XCTAssertEqual(talk.ask("g"), "E01", "it runs")
            let reply = talk.stop(DebugControl.Stop(vcpu: 1, reason: .step))
            XCTAssertEqual(
                reply, "T0510:3412000000000000;7:0000000000000000;6:0000000000000000;thread:2;", packet)
        }
        for wrong in ["vCont", "vCont;", "vCont;x", "vCont;c:9", "vCont;t:1", "cx"] {
            XCTAssertEqual(talk.ask(wrong), "E01", wrong)
        }
        XCTAssertNil(talk.ask("c4000"))
        XCTAssertEqual(talk.target.states[1].general.rip, 0x4000, "of the vCPU that stopped last")
    }

    func testAnInterrupt() throws {
        var talk = try conversation()
        XCTAssertEqual(talk.session.receive([3]), [], "it has stopped already")
        XCTAssertNil(talk.ask("vCont;c"))
        let reply = try XCTUnwrap(Conversation.text(talk.session.receive([3])))
        XCTAssertTrue(reply.hasPrefix("T02"), reply)
        XCTAssertNil(talk.target.motions)
    }

    func testStopsSayWhy() throws {
        var talk = try conversation()
        _ = talk.ask("qSupported:swbreak+;hwbreak+")
        XCTAssertEqual(talk.ask("Z0,1234,1"), "OK")
        XCTAssertEqual(talk.ask("Z1,2000,1"), "OK")
        XCTAssertEqual(talk.ask("Z3,100,4"), "OK")
        XCTAssertEqual(talk.ask("Z4,200,4"), "OK")
        func reason(_ reason: DebugControl.Reason) throws -> Substring {
            XCTAssertNil(talk.ask("vCont;c"))
            let reply = try XCTUnwrap(talk.stop(DebugControl.Stop(vcpu: 0, reason: reason)))
            return try XCTUnwrap(reply.components(separatedBy: "thread:1;").last)[...]
        }
        XCTAssertEqual(try reason(.breakpoint(0x1234)), "swbreak:;")
        XCTAssertEqual(try reason(.breakpoint(0x2000)), "hwbreak:;")
        XCTAssertEqual(try reason(.watch(DebugPoint(.readWrite, at: 0x100, length: 4))), "rwatch:100;")
        XCTAssertEqual(try reason(.watch(DebugPoint(.readWrite, at: 0x200, length: 4))), "awatch:200;")
        XCTAssertEqual(talk.ask("z3,100,4"), "OK")
        XCTAssertEqual(talk.ask("Z2,100,4"), "OK")
        XCTAssertEqual(try reason(.watch(DebugPoint(.write, at: 0x100, length: 4))), "watch:100;")
        XCTAssertEqual(try reason(.step), "")
        XCTAssertNil(talk.ask("vCont;c"))
        let death = try XCTUnwrap(talk.stop(DebugControl.Stop(vcpu: 0, reason: .death)))
        XCTAssertTrue(death.hasPrefix("T0b") && death.hasSuffix("thread:1;"), death)
        for wrong in ["Z", "Z0", "Z0,1", "Z0,,1", "Z0,1,1,1", "Zx,1,1"] {
            XCTAssertEqual(talk.ask(wrong), "E01", wrong)
        }
        XCTAssertEqual(talk.ask("Z5,1,1"), "")
    }

    /// Two vCPUs stop at once. What a watchpoint has seen is told at the next occasion; a breakpoint comes again.
    func testStopsThatCoincide() throws {
        var talk = try conversation()
        XCTAssertEqual(talk.ask("Z2,100,4"), "OK")
        let watch = DebugControl.Reason.watch(DebugPoint(.write, at: 0x100, length: 4))
        for reason in [watch, .breakpoint(0x1234)] {
            XCTAssertNil(talk.ask("vCont;c"))
            talk.target.stops = [DebugControl.Stop(vcpu: 1, reason: .step)]
            let first = talk.stop(DebugControl.Stop(vcpu: 0, reason: reason))
            XCTAssertTrue(try XCTUnwrap(first).hasSuffix("thread:2;"))
            let count = talk.target.resumeCount
            let second = talk.ask("vCont;c")
            if reason == watch {
                XCTAssertTrue(try XCTUnwrap(second).hasSuffix("thread:1;watch:100;"))
                XCTAssertEqual(talk.target.resumeCount, count)
                XCTAssertNil(talk.ask("vCont;c"))
            } else {
                XCTAssertNil(second)
            }
            _ = talk.session.receive([3])
        }
    }

    func testExitsBetweenTwoStops() throws {
        var talk = try conversation()
        talk.target.book(.portOut, count: 5, cycles: 100)
        XCTAssertNil(talk.ask("vCont;c"))
        talk.target.book(.portOut, count: 3, cycles: 10)
        talk.target.book(.cpuid, count: 1, cycles: 7)
        _ = talk.stop(DebugControl.Stop(vcpu: 0, reason: .step))
        // What the counters themselves take is in the last line.
        XCTAssertTrue(
            try XCTUnwrap(talk.monitor("exits")).hasPrefix(
                """
                io_out                         3 exits  30 cycles
                cpuid                          1 exits  7 cycles
                total                          4 exits  37 cycles
                (MiniVMM's own)                0 exits
                """))
        // A stop of the debugger's own, which it does not look at, is none.
        XCTAssertNil(talk.ask("vCont;s:1"))
        talk.target.book(.portOut, count: 1, cycles: 10)
        _ = talk.stop(DebugControl.Stop(vcpu: 0, reason: .step))
        XCTAssertEqual(talk.ask("Z0,1234,1"), "OK")
        XCTAssertNil(talk.ask("vCont;c"))
        _ = talk.stop(DebugControl.Stop(vcpu: 0, reason: .breakpoint(0x1234)))
        XCTAssertTrue(try XCTUnwrap(talk.monitor("exits")).hasPrefix("io_out                         1 exits  10 "))
        XCTAssertTrue(try XCTUnwrap(talk.monitor("help")).hasPrefix("exits "))
        XCTAssertTrue(try XCTUnwrap(talk.monitor("registers")).hasPrefix("vCPU 0, 64-bit mode, ring 0\n"))
        XCTAssertTrue(try XCTUnwrap(talk.monitor("nonsense")).hasPrefix("Not understood: nonsense\n"))
        XCTAssertEqual(talk.ask("qRcmd,0"), "E01")
    }

    func testDetaching() throws {
        var talk = try conversation()
        XCTAssertEqual(talk.ask("Z0,1234,1"), "OK")
        XCTAssertEqual(talk.ask("D"), "OK")
        XCTAssertEqual(talk.target.motions, [.running, .running])
        XCTAssertEqual(talk.target.points, DebugControl.Points())
        XCTAssertEqual(talk.session.phase, .detached)
        XCTAssertNil(talk.ask("g"))
    }

    func testKilling() throws {
        var talk = try conversation()
        XCTAssertNil(talk.ask("k"))
        XCTAssertTrue(talk.target.isKilled)
        talk = try conversation()
        XCTAssertEqual(talk.ask("vKill;1"), "OK")
        XCTAssertTrue(talk.target.isKilled)
    }

    func testTheEndOfTheRun() throws {
        var talk = try conversation()
        XCTAssertEqual(talk.session.machineHasEnded("W00"), [], "nobody waits for it")
        talk = try conversation()
        XCTAssertNil(talk.ask("vCont;c"))
        XCTAssertEqual(Conversation.text(talk.session.machineHasEnded("W03")), "W03")
        XCTAssertEqual(RunEnding.exitPort(3).remoteReply, "W03")
        XCTAssertEqual(RunEnding.halted.remoteReply, "W00")
        XCTAssertEqual(RunEnding.signal(15).remoteReply, "X0f")
        XCTAssertEqual(RunEnding.stopped.remoteReply, "X09")
    }

    /// A machine that ran goes on without breakpoints; one that was stopped waits for another debugger.
    func testALostConnection() throws {
        var talk = try conversation()
        talk.session.connectionIsLost()
        XCTAssertNil(talk.target.motions)
        XCTAssertEqual(talk.ask("Z0,1234,1"), "OK")
        XCTAssertNil(talk.ask("vCont;s:1"))
        talk.session.connectionIsLost()
        XCTAssertEqual(talk.target.motions, [.running, .running])
        XCTAssertEqual(talk.target.points, DebugControl.Points())
    }
}

extension Conversation {
    /// The answer to a `monitor` command.
    mutating func monitor(_ command: String) -> String? {
        ask("qRcmd," + Hexadecimal.text(command.utf8)).flatMap { Hexadecimal.bytes($0.utf8) }
            .map { String(decoding: $0, as: UTF8.self) }
    }
}
