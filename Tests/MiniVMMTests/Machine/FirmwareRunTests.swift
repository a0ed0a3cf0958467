@testable import Boot
@testable import Counters
@testable import Devices
import Glibc
@testable import Host
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Flat guests that find what a PC has: devices, ways to reset, and a BIOS's services.
final class FirmwareRunTests: KVMTestCase {
    private func assertReset(_ code: [UInt8], exits: UInt64, line: UInt = #line) throws {
        let run = try GuestRun(code, timeout: .seconds(60))
        XCTAssertEqual(run.outcome.ending.name, "reset", run.outcome.ending.summary, line: line)
        XCTAssertEqual(run.outcome.statistics.total.exits, exits, line: line)
    }

    func testEveryUsualWayToReset() throws {
        try assertReset([0xb0, 0xfe, 0xe6, 0x64], exits: 1)  // mov al, 0xfe; out 0x64, al
        try assertReset([0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee], exits: 1)  // mov dx, 0xcf9; mov al, 6; out dx, al
        try assertReset([0xe4, 0x92, 0x0c, 0x01, 0xe6, 0x92], exits: 2)  // in al, 0x92; or al, 1; out 0x92, al
        try assertReset([0xea, 0x00, 0x00, 0xff, 0xff], exits: 1)  // jmp 0xffff:0
        try assertReset([0xea, 0xf0, 0xff, 0x00, 0xf0], exits: 1)  // jmp 0xf000:0xfff0
        try assertReset([0xcd, 0x19], exits: 1)  // int 0x19
    }

    func testTheUsualWaitsEnd() throws {
        let run = try GuestRun([
            0xe4, 0x64,  // in al, 0x64: the keyboard controller's status
            0xa8, 0x02,  // test al, 2: is the input buffer full?
            0x75, 0xfa,  // jnz to the start
            0xb0, 0xd1, 0xe6, 0x64,  // mov al, 0xd1; out 0x64, al: write the output port
            0xb0, 0xdf, 0xe6, 0x60,  // mov al, 0xdf; out 0x60, al: A20 open
            0xb0, 0x0a, 0xe6, 0x70,  // mov al, 0x0a; out 0x70, al: the clock's register A
            0xe4, 0x71,  // in al, 0x71
            0xa8, 0x80,  // test al, 0x80: is it updating?
            0x75, 0xfa,  // jnz to the in
            0xf4,  // hlt
        ])
        XCTAssertEqual(run.outcome.ending.name, "halted", run.outcome.ending.summary)
        XCTAssertEqual(run.outcome.unclaimedPorts, [])
    }

    func testPanicDeviceIsAPanic() throws {
        let run = try GuestRun([
            0xba, 0x05, 0x05,  // mov dx, 0x505
            0xec,  // in al, dx
            0x24, 0x01,  // and al, 1
            0xee,  // out dx, al
        ])
        XCTAssertEqual(run.outcome.ending.name, "panicked")
    }

    /// Reads sector 382 of its disk and ends the run with its first byte.
    private static let loader: [UInt8] = [
        0xb8, 0x01, 0x02,  // mov ax, 0x0201: read one sector
        0xbb, 0x00, 0x90,  // mov bx, 0x9000: to ES:BX
        0xb9, 0x05, 0x0a,  // mov cx, 0x0a05: cylinder 10, sector 5
        0xb6, 0x01,  // mov dh, 1: head 1, of the drive in DL
        0xcd, 0x13,  // int 0x13
        0x72, 0x05,  // jc past the out
        0xa0, 0x00, 0x90,  // mov al, [0x9000]
        0xe6, 0xf4,  // out 0xf4, al
        0xf4,  // hlt
    ]

    func testABootSectorLoadsTheRestOfItsDisk() throws {
        var image = Self.loader + [UInt8](repeating: 0, count: 1_474_560 - Self.loader.count)
        image.replaceSubrange(510..<512, with: [0x55, 0xaa])
        image[382 * 512] = 0x5a
        for trap in [CPUIDTrap.none] + (try TestKVM.workingTraps()) {
            let run = try GuestRun(image, trap: trap)
            guard case .exitPort(0x5a) = run.outcome.ending else {
                return XCTFail("\(trap): \(run.outcome.ending.summary)")
            }
            XCTAssertEqual(run.exits(.portOut), 2)
        }
    }

    func testFlagsComeBack() throws {
        let run = try GuestRun([
            0xf9,  // stc
            0xb4, 0x41,  // mov ah, 0x41
            0xbb, 0xaa, 0x55,  // mov bx, 0x55aa
            0xcd, 0x13,  // int 0x13: clears the carry flag
            0x72, 0x0a,  // jc to the hlt
            0xb4, 0xc0,  // mov ah, 0xc0
            0xcd, 0x15,  // int 0x15: sets it
            0x73, 0x04,  // jnc to the hlt
            0xb0, 0x07,  // mov al, 7
            0xe6, 0xf4,  // out 0xf4, al
            0xf4,  // hlt
        ])
        guard case .exitPort(7) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
    }

    func testAStringIsPrinted() throws {
        let code: [UInt8] = [
            0xb8, 0x01, 0x13,  // mov ax, 0x1301
            0xb9, 0x03, 0x00,  // mov cx, 3
            0xbd, 0x18, 0x7c,  // mov bp, 0x7c18
            0xcd, 0x10,  // int 0x10
            0xb8, 0x03, 0x13,  // mov ax, 0x1303: with colors
            0xb9, 0x02, 0x00,  // mov cx, 2
            0xbd, 0x1b, 0x7c,  // mov bp, 0x7c1b
            0xcd, 0x10,  // int 0x10
            0xf4, 0x90,  // hlt; nop
        ]
        let run = try GuestRun(code + Array("abcd".utf8) + [0x07] + Array("e".utf8) + [0x07])
        XCTAssertEqual(run.console, "abcde")
    }

    /// Writes "AB" to the second row of the screen, reads it back, and goes on as a test wants.
    private static let artist: [UInt8] = [
        0xb8, 0x00, 0xb8,  // mov ax, 0xb800
        0x8e, 0xc0,  // mov es, ax
        0x26, 0xc7, 0x06, 0xa0, 0x00, 0x41, 0x07,  // mov word es:[160], 0x0741
        0x26, 0xc7, 0x06, 0xa2, 0x00, 0x42, 0x07,  // mov word es:[162], 0x0742
        0x26, 0xa0, 0xa2, 0x00,  // mov al, es:[162]
    ]

    func testAScreenIsShownWithoutExits() throws {
        var guest = FlatGuest(image: Self.artist + [0xe6, 0xf4])  // out 0xf4, al
        guest.hasScreen = true
        let run = try GuestRun(guest)
        guard case .exitPort(0x42) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(run.console, "AB\n")
        XCTAssertEqual(run.outcome.statistics.total.exits, 1)
        XCTAssertEqual(run.outcome.unclaimedPages, [])
    }

    func testAScreenIsShownWhileTheGuestRuns() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        var options = MachineOptions()
        options.trap = .none
        options.consoleDescriptor = pipe.writer
        var guest = FlatGuest(image: Self.artist + [0xeb, 0xfe])  // jmp to itself
        guest.hasScreen = true
        let machine = try Machine(kvm: TestKVM.shared(), guest: guest, options: options)
        let reader = try PosixThread(name: "reader") { [descriptor = pipe.reader] in
            var bytes = [UInt8](repeating: 0, count: 3)
            // It comes while the guest runs on, and ends the run.
            while read(descriptor, &bytes, 3) < 0 {}
            machine.control.stop(.exitPort(bytes == Array("AB\n".utf8) ? 7 : 1))
        }
        let outcome = try machine.run(timeout: .seconds(GuestRun.limit))
        reader.join()
        guard case .exitPort(7) = outcome.ending else { return XCTFail(outcome.ending.summary) }
    }

    func testWithoutAScreenThereIsNoMemory() throws {
        let run = try GuestRun(Self.artist + [0xe6, 0xf4])
        guard case .exitPort(0xff) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(run.console, "")
        XCTAssertEqual(run.exits(.mmioWrite), 2)
    }

    /// Prints keys up to a full stop.
    private static let typist: [UInt8] = [
        0xb4, 0x00,  // mov ah, 0
        0xcd, 0x16,  // int 0x16: wait for a key
        0xb4, 0x0e,  // mov ah, 0x0e
        0xcd, 0x10,  // int 0x10
        0x3c, 0x2e,  // cmp al, '.'
        0x75, 0xf4,  // jne to the start
        0xb0, 0x05,  // mov al, 5
        0xe6, 0xf4,  // out 0xf4, al
    ]

    func testKeysComeFromTheConsole() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        pipe.supply(Array("Hello, BIOS.".utf8))
        let run = try GuestRun(Self.typist, input: .stream(pipe.reader))
        guard case .exitPort(5) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(run.console, "Hello, BIOS.")
        XCTAssertEqual(run.outcome.statistics.total.exits, 25, "two a key, however long the wait, and the last")
    }

    func testAWaitForAKeyEndsWithTheRun() throws {
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        let run = try GuestRun(Self.typist, timeout: .milliseconds(20), input: .stream(pipe.reader))
        XCTAssertEqual(run.outcome.ending.name, "timeout")
    }

    func testAWaitForAKeyThatCannotComeIsTheEnd() throws {
        XCTAssertEqual(try GuestRun(Self.typist, input: nil).outcome.ending.name, "halted")
        let pipe = try PipeEnds()
        defer { pipe.closeReader() }
        pipe.supply(Array("Hi".utf8))
        let run = try GuestRun(Self.typist, input: .stream(pipe.reader))
        XCTAssertEqual(run.outcome.ending.name, "halted")
        XCTAssertEqual(run.console, "Hi")
    }
}
