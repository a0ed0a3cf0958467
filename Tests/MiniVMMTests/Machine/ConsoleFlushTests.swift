@testable import Boot
@testable import Counters
import Glibc
@testable import Host
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// The console of a guest that runs: nothing is kept back, and nothing keeps the run from ending.
final class ConsoleFlushTests: XCTestCase {
    /// Prints `>`, and goes on for ever.
    private static let prompt: [UInt8] = [
        0xb0, 0x3e,  // mov al, '>'
        0xe6, 0xe9,  // out 0xe9, al
        0xeb, 0xfe,  // jmp to itself
    ]

    private func machine(_ code: [UInt8], console: Int32, trap: CPUIDTrap = .none) throws -> Machine {
        var options = MachineOptions()
        options.trap = trap
        options.consoleDescriptor = console
        return try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: code), options: options)
    }

    func testPromptIsSeenWhileTheGuestRuns() throws {
        for trap in [CPUIDTrap.none] + (try TestKVM.workingTraps()) {
            let pipe = try PipeEnds()
            let machine = try machine(Self.prompt, console: pipe.writer, trap: trap)
            let reader = pipe.reader
            let reading = try PosixThread(name: "reader") {
                var byte: UInt8 = 0
                if read(reader, &byte, 1) == 1, byte == UInt8(ascii: ">") { machine.control.stop(.stopped) }
            }
            let outcome = try machine.run(timeout: .seconds(GuestRun.limit))
            // Without the byte the reader would wait for ever.
            pipe.closeWriter()
            reading.join()
            XCTAssertEqual(outcome.ending.name, "stopped", "\(trap)")
            XCTAssertEqual(outcome.statistics.total.exits, 1, "a kick is no exit of the guest")
        }
    }

    func testUnfinishedLineIsThereHoweverTheRunEnds() throws {
        let print: [UInt8] = [0xb0, 0x3e, 0xe6, 0xe9]  // mov al, '>'; out 0xe9, al
        for (code, ending) in [
            ([0xf4], "halted"),  // hlt
            ([0xe6, 0xf4], "exit_port"),  // out 0xf4, al
            ([0x0f, 0x0b], "died"),  // ud2
            ([0xeb, 0xfe], "timeout"),  // jmp to itself
        ] as [([UInt8], String)] {
            let run = try GuestRun(print + code, timeout: .milliseconds(ending == "timeout" ? 1 : 60_000))
            XCTAssertEqual(run.outcome.ending.name, ending)
            // A millisecond may be too short for the guest to get to it.
            if run.exits(.portOut) > 0 { XCTAssertEqual(run.console, ">", ending) }
        }
    }

    func testStopEndsARunWhoseConsoleNobodyReads() throws {
        let lines: [UInt8] = [
            0xb0, 0x0a,  // mov al, '\n'
            0xe6, 0xe9,  // out 0xe9, al
            0xeb, 0xfc,  // jmp to the out
        ]
        let pipe = try PipeEnds()
        try pipe.fill()
        let machine = try machine(lines, console: pipe.writer)
        let stopping = try PosixThread(name: "stop") {
            // Until the vCPU is about to write, or waits already.
            while RunStatistics(machine.parts.counters).total.exits == 0 { sched_yield() }
            machine.control.stop(.signal(SIGINT))
        }
        let outcome = try machine.run(timeout: .seconds(GuestRun.limit))
        stopping.join()
        XCTAssertEqual(outcome.ending.name, "signal")
        XCTAssertEqual(outcome.statistics.total.exits, 1)
    }
}
