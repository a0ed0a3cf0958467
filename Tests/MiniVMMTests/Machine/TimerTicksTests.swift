@testable import Boot
@testable import Counters
@testable import Devices
@testable import MiniVMM
@testable import TestSupport
import XCTest

/// The timer's interrupt of flat guests with one vCPU, and that guests which do not use it know nothing of it.
final class TimerTicksTests: KVMTestCase {
    private func run(
        _ code: [UInt8], trap: CPUIDTrap = .none, timeout: Duration = .seconds(60), line: UInt = #line
    ) throws -> GuestRun {
        try GuestRun(code, trap: trap, timeout: timeout)
    }

    private func assertEnds(_ run: GuestRun, _ status: UInt8, line: UInt = #line) {
        guard case .exitPort(status) = run.outcome.ending else {
            return XCTFail(run.outcome.ending.summary, line: line)
        }
    }

    func testAGuestThatHaltsIsWoken() throws {
        let start = ContinuousClock.now
        let run = try run(Self.ownHandler)
        assertEnds(run, 7)
        // Three periods of 54.9 ms, the first of which had begun.
        XCTAssertGreaterThan(start.duration(to: .now), .milliseconds(105))
        XCTAssertEqual(run.exits(.hlt), 3)
        XCTAssertEqual(run.exits(.portOut), 4)
        XCTAssertEqual(run.outcome.statistics.total.exits, 7)
    }

    func testAGuestThatLooksAtMemoryIsInterrupted() throws {
        let run = try run(Self.polled)
        assertEnds(run, 7)
        // Three to set the timer, twenty ends of interrupts, and the exit. No kick and no window is the guest's.
        XCTAssertEqual(run.exits(.portOut), 24)
        XCTAssertEqual(run.outcome.statistics.total.exits, 24)
    }

    func testWhatABIOSDoesAtATick() throws {
        let run = try run(Self.userTick)
        // Two ticks, and five.
        assertEnds(run, 7)
        XCTAssertEqual(try run.number(at: 0x46c), 2)
        XCTAssertEqual(run.exits(.hlt), 2)
        // The BIOS ends two interrupts.
        XCTAssertEqual(run.exits(.portOut), 3)
    }

    func testControllersThatWereMoved() throws {
        let run = try run(Self.moved)
        assertEnds(run, 7)
        XCTAssertEqual(run.exits(.portOut), 5)
        XCTAssertEqual(run.exits(.hlt), 2)
    }

    func testStepsDoNotKeepTicksAway() throws {
        let run = try run(Self.ownHandler, trap: .step)
        assertEnds(run, 7)
        XCTAssertEqual(run.outcome.statistics.total.exits, 7)
    }

    func testInterruptsWaitUntilTheGuestTakesThem() throws {
        assertEnds(try run(Self.interruptsOff), 7)
    }

    func testTheClocksPeriodicInterrupt() throws {
        let run = try run(Self.periodicClock)
        // Register C: a request, and its reason.
        assertEnds(run, 0xc0)
        // Four to set it up, two interrupts with a read of register C and one without, that read, and the exit.
        XCTAssertEqual(run.exits(.portOut), 14)
        XCTAssertEqual(run.exits(.portIn), 3)
    }

    func testWhatABIOSDoesAtAnAlarm() throws {
        let run = try run(Self.alarm)
        assertEnds(run, 7)
        XCTAssertEqual(run.exits(.portOut), 14)
        XCTAssertEqual(run.exits(.portIn), 1)
        XCTAssertEqual(run.exits(.hlt), 1)
    }

    /// As before: nobody waits where nothing can come, or nobody asks for it.
    func testGuestsThatEnd() throws {
        let guests: [(code: [UInt8], exits: UInt64)] = [
            (Self.masked, 2),
            ([0xfb, 0xf4], 1),  // sti; hlt
            ([0xf4], 1),  // hlt
            // A handler, and interrupts off: mov word [0x20], 0x7c00; hlt
            ([0xc7, 0x06, 0x20, 0x00, 0x00, 0x7c, 0xf4], 1),
        ]
        for (code, exits) in guests {
            let run = try run(code)
            guard case .halted = run.outcome.ending else {
                XCTFail(run.outcome.ending.summary)
                continue
            }
            XCTAssertEqual(run.outcome.statistics.total.exits, exits)
        }
    }

    func testAWaitEndsWithTheRun() throws {
        let run = try run(Self.neverDone, timeout: .milliseconds(300))
        guard case .timeout = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
    }

    /// A guest that does not use the timer finds the vectors as they always were.
    func testTheStubsStay() throws {
        let run = try run([0xf4])
        XCTAssertEqual(try run.number(at: 0x20), 0xf000_0020)
        XCTAssertEqual(try run.number(at: 0x70), 0xf000_0070)
    }

    /// A handler at vector 8, and three HLTs.
    private static let ownHandler: [UInt8] = [
        0xc7, 0x06, 0x20, 0x00, 0x19, 0x7c,  // mov word ds:0x20, 0x7c19
        0xc7, 0x06, 0x22, 0x00, 0x00, 0x00,  // mov word ds:0x22, 0x0
        0xfb,  // sti
        0xf4,  // hlt
        0x80, 0x3e, 0x00, 0x05, 0x03,  // cmp byte ds:0x500, 0x3
        0x72, 0xf8,  // jb 7c0d
        0xb0, 0x07,  // mov al, 0x7
        0xe6, 0xf4,  // out 0xf4, al
        0xfe, 0x06, 0x00, 0x05,  // inc byte ds:0x500
        0xb0, 0x20,  // mov al, 0x20
        0xe6, 0x20,  // out 0x20, al
        0xcf,  // iret
    ]

    /// The timer at 1 kHz, and a handler that counts to 20 while the guest looks at the number.
    private static let polled: [UInt8] = [
        0xc7, 0x06, 0x20, 0x00, 0x20, 0x7c,  // mov word ds:0x20, 0x7c20
        0xc7, 0x06, 0x22, 0x00, 0x00, 0x00,  // mov word ds:0x22, 0x0
        0xb0, 0x34,  // mov al, 0x34
        0xe6, 0x43,  // out 0x43, al
        0xb0, 0xa9,  // mov al, 0xa9
        0xe6, 0x40,  // out 0x40, al
        0xb0, 0x04,  // mov al, 0x4
        0xe6, 0x40,  // out 0x40, al
        0xfb,  // sti
        0x80, 0x3e, 0x00, 0x05, 0x14,  // cmp byte ds:0x500, 0x14
        0xeb, 0xf9,  // jmp 7c19
        0xfe, 0x06, 0x00, 0x05,  // inc byte ds:0x500
        0xb0, 0x20,  // mov al, 0x20
        0xe6, 0x20,  // out 0x20, al
        0x80, 0x3e, 0x00, 0x05, 0x14,  // cmp byte ds:0x500, 0x14
        0x72, 0x04,  // jb 7c33
        0xb0, 0x07,  // mov al, 0x7
        0xe6, 0xf4,  // out 0xf4, al
        0xcf,  // iret
    ]

    /// A handler at INT 1Ch, which the BIOS calls at each tick with its own DS, and the ticks that it counts itself.
    private static let userTick: [UInt8] = [
        0xc7, 0x06, 0x70, 0x00, 0x1d, 0x7c,  // mov word ds:0x70, 0x7c1d
        0xc7, 0x06, 0x72, 0x00, 0x00, 0x00,  // mov word ds:0x72, 0x0
        0xfb,  // sti
        0xf4,  // hlt
        0x80, 0x3e, 0x00, 0x05, 0x02,  // cmp byte ds:0x500, 0x2
        0x72, 0xf8,  // jb 7c0d
        0xfa,  // cli
        0xa0, 0x6c, 0x04,  // mov al, ds:0x46c
        0x04, 0x05,  // add al, 0x5
        0xe6, 0xf4,  // out 0xf4, al
        0x2e, 0xfe, 0x06, 0x00, 0x05,  // inc byte cs:0x500
        0xcf,  // iret
    ]

    /// The controllers moved to vectors 0x20 and 0x28, and a handler there; each interrupt ends by itself.
    private static let moved: [UInt8] = [
        0xc7, 0x06, 0x80, 0x00, 0x29, 0x7c,  // mov word ds:0x80, 0x7c29
        0xc7, 0x06, 0x82, 0x00, 0x00, 0x00,  // mov word ds:0x82, 0x0
        0xb0, 0x11,  // mov al, 0x11
        0xe6, 0x20,  // out 0x20, al
        0xb0, 0x20,  // mov al, 0x20
        0xe6, 0x21,  // out 0x21, al
        0xb0, 0x04,  // mov al, 0x4
        0xe6, 0x21,  // out 0x21, al
        0xb0, 0x03,  // mov al, 0x3
        0xe6, 0x21,  // out 0x21, al
        0xfb,  // sti
        0xf4,  // hlt
        0x80, 0x3e, 0x00, 0x05, 0x02,  // cmp byte ds:0x500, 0x2
        0x72, 0xf8,  // jb 7c1d
        0xb0, 0x07,  // mov al, 0x7
        0xe6, 0xf4,  // out 0xf4, al
        0xfe, 0x06, 0x00, 0x05,  // inc byte ds:0x500
        0xcf,  // iret
    ]

    /// The timer masked and the clock not, whose periodic interrupt at 1,024 Hz wakes the guest three times.
    private static let periodicClock: [UInt8] = [
        0xc7, 0x06, 0xc0, 0x01, 0x2f, 0x7c,  // mov word ds:0x1c0, 0x7c2f
        0xc7, 0x06, 0xc2, 0x01, 0x00, 0x00,  // mov word ds:0x1c2, 0x0
        0xb0, 0xb9,  // mov al, 0xb9
        0xe6, 0x21,  // out 0x21, al
        0xb0, 0x8e,  // mov al, 0x8e
        0xe6, 0xa1,  // out 0xa1, al
        0xb0, 0x0b,  // mov al, 0xb
        0xe6, 0x70,  // out 0x70, al
        0xb0, 0x42,  // mov al, 0x42
        0xe6, 0x71,  // out 0x71, al
        0xfb,  // sti
        0xf4,  // hlt
        0x80, 0x3e, 0x00, 0x05, 0x03,  // cmp byte ds:0x500, 0x3
        0x72, 0xf8,  // jb 7c1d
        0xb0, 0x0c,  // mov al, 0xc
        0xe6, 0x70,  // out 0x70, al
        0xe4, 0x71,  // in al, 0x71
        0x24, 0xc0,  // and al, 0xc0
        0xe6, 0xf4,  // out 0xf4, al
        0xfe, 0x06, 0x00, 0x05,  // inc byte ds:0x500
        0x80, 0x3e, 0x00, 0x05, 0x03,  // cmp byte ds:0x500, 0x3
        0x74, 0x06,  // je 7c40
        0xb0, 0x0c,  // mov al, 0xc
        0xe6, 0x70,  // out 0x70, al
        0xe4, 0x71,  // in al, 0x71
        0xb0, 0x20,  // mov al, 0x20
        0xe6, 0xa0,  // out 0xa0, al
        0xe6, 0x20,  // out 0x20, al
        0xcf,  // iret
    ]

    /// The timer masked and the clock not, an alarm each second, and a handler at INT 4Ah, which the BIOS calls then.
    private static let alarm: [UInt8] = [
        0xc7, 0x06, 0x28, 0x01, 0x41, 0x7c,  // mov word ds:0x128, 0x7c41
        0xc7, 0x06, 0x2a, 0x01, 0x00, 0x00,  // mov word ds:0x12a, 0x0
        0xb0, 0xb9,  // mov al, 0xb9
        0xe6, 0x21,  // out 0x21, al
        0xb0, 0x8e,  // mov al, 0x8e
        0xe6, 0xa1,  // out 0xa1, al
        0xb0, 0x01,  // mov al, 0x1
        0xe6, 0x70,  // out 0x70, al
        0xb0, 0xc0,  // mov al, 0xc0
        0xe6, 0x71,  // out 0x71, al
        0xb0, 0x03,  // mov al, 0x3
        0xe6, 0x70,  // out 0x70, al
        0xb0, 0xc0,  // mov al, 0xc0
        0xe6, 0x71,  // out 0x71, al
        0xb0, 0x05,  // mov al, 0x5
        0xe6, 0x70,  // out 0x70, al
        0xb0, 0xc0,  // mov al, 0xc0
        0xe6, 0x71,  // out 0x71, al
        0xb0, 0x0b,  // mov al, 0xb
        0xe6, 0x70,  // out 0x70, al
        0xb0, 0x22,  // mov al, 0x22
        0xe6, 0x71,  // out 0x71, al
        0xfb,  // sti
        0xf4,  // hlt
        0x80, 0x3e, 0x00, 0x05, 0x00,  // cmp byte ds:0x500, 0x0
        0x74, 0xf8,  // je 7c35
        0xb0, 0x07,  // mov al, 0x7
        0xe6, 0xf4,  // out 0xf4, al
        0x2e, 0xfe, 0x06, 0x00, 0x05,  // inc byte cs:0x500
        0xcf,  // iret
    ]

    /// A handler, and the line masked: nothing wakes the guest.
    private static let masked: [UInt8] = [
        0xc7, 0x06, 0x20, 0x00, 0x12, 0x7c,  // mov word ds:0x20, 0x7c12
        0xc7, 0x06, 0x22, 0x00, 0x00, 0x00,  // mov word ds:0x22, 0x0
        0xb0, 0xff,  // mov al, 0xff
        0xe6, 0x21,  // out 0x21, al
        0xfb,  // sti
        0xf4,  // hlt
        0xb0, 0x09,  // mov al, 0x9
        0xe6, 0xf4,  // out 0xf4, al
    ]

    /// A handler that is called for ever.
    private static let neverDone: [UInt8] = [
        0xc7, 0x06, 0x20, 0x00, 0x10, 0x7c,  // mov word ds:0x20, 0x7c10
        0xc7, 0x06, 0x22, 0x00, 0x00, 0x00,  // mov word ds:0x22, 0x0
        0xfb,  // sti
        0xf4,  // hlt
        0xeb, 0xfd,  // jmp 7c0d
        0xb0, 0x20,  // mov al, 0x20
        0xe6, 0x20,  // out 0x20, al
        0xcf,  // iret
    ]

    /// The timer at 1 kHz for as long as 30 ms, with interrupts off: nothing comes. Then they are on for a while, and one
    /// comes, whose end is not told: no other does.
    private static let interruptsOff: [UInt8] = [
        0xc7, 0x06, 0x20, 0x00, 0x43, 0x7c,  // mov word ds:0x20, 0x7c43
        0xc7, 0x06, 0x22, 0x00, 0x00, 0x00,  // mov word ds:0x22, 0x0
        0xb0, 0x34,  // mov al, 0x34
        0xe6, 0x43,  // out 0x43, al
        0xb0, 0xa9,  // mov al, 0xa9
        0xe6, 0x40,  // out 0x40, al
        0xb0, 0x04,  // mov al, 0x4
        0xe6, 0x40,  // out 0x40, al
        0xb0, 0xb0,  // mov al, 0xb0
        0xe6, 0x43,  // out 0x43, al
        0xb0, 0xff,  // mov al, 0xff
        0xe6, 0x42,  // out 0x42, al
        0xb0, 0x8b,  // mov al, 0x8b
        0xe6, 0x42,  // out 0x42, al
        0xb0, 0x01,  // mov al, 0x1
        0xe6, 0x61,  // out 0x61, al
        0xe4, 0x61,  // in al, 0x61
        0xa8, 0x20,  // test al, 0x20
        0x74, 0xfa,  // je 7c28
        0x80, 0x3e, 0x00, 0x05, 0x00,  // cmp byte ds:0x500, 0x0
        0x75, 0x07,  // jne 7c3c
        0xfb,  // sti
        0xb9, 0x20, 0x4e,  // mov cx, 0x4e20
        0xe2, 0xfe,  // loop 7c39
        0xfa,  // cli
        0xa0, 0x00, 0x05,  // mov al, ds:0x500
        0x04, 0x06,  // add al, 0x6
        0xe6, 0xf4,  // out 0xf4, al
        0xfe, 0x06, 0x00, 0x05,  // inc byte ds:0x500
        0xcf,  // iret
    ]
}
