@testable import TestSupport
import XCTest

@testable import Debugger
@testable import MiniVMM

/// Hostile debuggers: nothing traps, nothing hangs, and no answer is longer than the protocol has it.
final class MutatedRemoteTests: XCTestCase {
    private static let count = TestExtent.of(2500, exhaustive: 10_000)

    private static let packets: [String] = [
        "qSupported:multiprocess+;swbreak+;hwbreak+", "QStartNoAckMode", "vCont?", "vCont;s:1;c", "vCont;c", "?", "g",
        "p10", "P1=0100000000000000", "m100,40", "M100,4:01020304", "X100,4:abcd", "Z0,1234,1", "Z1,1234,1",
        "Z2,100,4", "Z3,104,4", "Z4,ffffffffffffffff,8", "z0,1234,1", "z2,100,4", "Hg2", "Hc-1", "T1", "qfThreadInfo",
        "qsThreadInfo", "qThreadExtraInfo,1", "qXfer:features:read:target.xml:0,ffb", "qC", "qRcmd,6578697473",
        "qRcmd,706879736963616c2030203136", "qqemu.PhyMemMode", "Qqemu.PhyMemMode:1", "c1234", "s", "D", "k",
        "vKill;1",
    ]

    /// A conversation of a few packets, damaged in some of their bytes, and with checksums that are right or not.
    private func bytes(_ generator: inout SeededGenerator) -> [UInt8] {
        var result: [UInt8] = []
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let packet = Array((Self.packets.randomElement(using: &generator) ?? "g").utf8)
            let isDamagedInside = Bool.random(using: &generator)
            // What is damaged inside has a checksum that is right, and gets further.
            let payload =
                isDamagedInside ? Mutation.mutate(packet, at: 0..<packet.count, using: &generator) : packet
            let framed = RemotePacket.encode(payload)
            result += isDamagedInside ? framed : Mutation.mutate(framed, at: 0..<framed.count, using: &generator)
            if Int.random(in: 0..<8, using: &generator) == 0 { result.append(3) }
        }
        return result
    }

    func testMutatedPackets() throws {
        try TestBed.skipWhereEmulated()
        let longest = 2 + 2 * (2 * RemoteSession<FakeTarget>.packetSize)
        var answered = 0
        for seed in 0..<Self.count {
            var generator = SeededGenerator(seed: UInt64(seed))
            var session = RemoteSession(try FakeTarget(is64Bit: false))
            let answer = session.receive(bytes(&generator))
            XCTAssertLessThan(answer.count, 16 * longest, "seed \(seed)")
            if answer.count > 1 { answered += 1 }
            // It is still there for a debugger that behaves.
            guard session.phase == .stopped || session.phase == .running else { continue }
            // The last packet may not have had its end.
            _ = session.receive(Array("####++\u{3}".utf8))
            let after = session.receive(RemotePacket.encode("qfThreadInfo".utf8))
            XCTAssertEqual(Conversation.text(after), "m1,2", "seed \(seed)")
        }
        // Most of them are answered, so most of them got somewhere.
        XCTAssertGreaterThan(answered, Self.count / 2)
    }

    /// Bytes that are no packets at all, in pieces of every length.
    func testNoise() throws {
        try TestBed.skipWhereEmulated()
        let target = try FakeTarget(is64Bit: false)
        var generator = SeededGenerator(seed: 20_261_127)
        var session = RemoteSession(target)
        for _ in 0..<Self.count {
            let count = Int.random(in: 1...64, using: &generator)
            _ = session.receive((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        }
        guard session.phase == .stopped || session.phase == .running else { return }
        _ = session.receive(Array("####\u{3}".utf8))
        XCTAssertEqual(Conversation.text(session.receive(RemotePacket.encode("qfThreadInfo".utf8))), "m1,2")
    }
}
