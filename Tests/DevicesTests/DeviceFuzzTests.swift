@testable import Devices
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// A guest that does anything at all: nothing may trap, and nothing may grow.
final class DeviceFuzzTests: XCTestCase {
    /// What the devices report, in numbers.
    private final class Tally: Sendable {
        let level = Atomic<Bool>(false)
        let repeatedLevels = Atomic<Int>(0)
        let calls = Atomic<Int>(0)

        func set(_ high: Bool) {
            if level.exchange(high, ordering: .relaxed) == high { repeatedLevels.add(1, ordering: .relaxed) }
        }

        func call() {
            calls.add(1, ordering: .relaxed)
        }
    }

    private static let accesses = 200_000

    /// All devices, at made-up ports that lie close together, with a clock that jumps.
    private func makeBus(serial: Serial16550, tally: Tally, generator: SeededGenerator) throws -> PortBus {
        let random = Locked(generator)
        let keyboard = KeyboardController(reset: tally.call)
        let clock = CMOSClock(
            memoryBelow4GiB: 1 << 30,
            now: { random.withLock { Int64(truncatingIfNeeded: $0.next()) } }
        )
        let power = ACPIPowerManagement(
            interrupt: { _ in tally.call() },
            powerOff: tally.call,
            now: { random.withLock { $0.next() } }
        )
        let video = VideoPorts()
        let timer = IntervalTimer(now: { random.withLock { $0.next() } })
        return try PortBus([
            PortAttachment(serial, named: "serial", at: 0...7),
            PortAttachment(keyboard.data, named: "keyboard", at: 8...8),
            PortAttachment(keyboard.command, named: "keyboard", at: 9...9),
            PortAttachment(clock, named: "clock", at: 10...11),
            PortAttachment(power, named: "power", at: 12...23),
            PortAttachment(PostCodePort(), named: "post", at: 24...24),
            PortAttachment(DebugConsole { _ in tally.call() }, named: "debug", at: 25...25),
            PortAttachment(ExitPort { _ in tally.call() }, named: "exit", at: 26...26),
            PortAttachment(ResetControl.register(reset: tally.call), named: "reset", at: 27...27),
            PortAttachment(timer.counters, named: "timer", at: 28...31),
            PortAttachment(timer.control, named: "timer", at: 32...32),
            PortAttachment(InterruptControllerRegisters(mask: 0xB8), named: "PIC", at: 33...34),
            PortAttachment(video.registers, named: "video", at: 36...37),
            PortAttachment(video.status, named: "video", at: 38...38),
            PortAttachment(
                FirmwareConfigurationPorts([.init(0, [1]), .init(3, [2, 3])]), named: "fw_cfg", at: 39...40),
            PortAttachment(TestLatch(), named: "latch", at: 41...44),
            PortAttachment(SystemControl.register(reset: tally.call), named: "system", at: 35...35),
        ])
    }

    private func run(seed: UInt64) throws {
        let tally = Tally()
        let serial = Serial16550(interrupt: tally.set, transmit: { _ in tally.call() }, roomToReceive: tally.call)
        var generator = SeededGenerator(seed: seed)
        let bus = try makeBus(serial: serial, tally: tally, generator: SeededGenerator(seed: ~seed))
        let widths: [AccessWidth] = [.byte, .word, .long]
        for _ in 0..<Self.accesses {
            let word = generator.next()
            let port = UInt16(word & 63)
            let width = widths[Int(word >> 8 & 0xFF) % widths.count]
            let value = UInt32(truncatingIfNeeded: word >> 32) & UInt32(truncatingIfNeeded: width.allOnes)
            switch word >> 16 & 7 {
            case 0: XCTAssertLessThanOrEqual(serial.receive(repeatElement(0x41, count: Int(value & 63))), 16)
            case 1: _ = serial.receiveBreak()
            case 2...4: _ = bus.write(port, width, value)
            default:
                guard let read = bus.read(port, width) else { continue }
                XCTAssertEqual(UInt64(read) & ~width.allOnes, 0)
            }
        }
        XCTAssertEqual(tally.repeatedLevels.load(ordering: .relaxed), 0, "the line is told changes only")
    }

    func testRandomAccesses() throws {
        try TestBed.skipWhereEmulated()
        for seed: UInt64 in 1...4 { try run(seed: seed) }
    }

    func testSeveralThreadsAtOnce() throws {
        let tally = Tally()
        let serial = Serial16550(interrupt: tally.set, transmit: { _ in tally.call() })
        let bus = try makeBus(serial: serial, tally: tally, generator: SeededGenerator(seed: 9))
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            var generator = SeededGenerator(seed: UInt64(thread))
            for _ in 0..<(Self.accesses / 10) {
                let word = generator.next()
                let port = UInt16(word & 63)
                if word & 0x100 == 0 {
                    _ = bus.read(port, .byte)
                } else {
                    _ = bus.write(port, .byte, UInt32(truncatingIfNeeded: word >> 32) & 0xFF)
                }
            }
        }
        XCTAssertEqual(tally.repeatedLevels.load(ordering: .relaxed), 0)
    }
}
