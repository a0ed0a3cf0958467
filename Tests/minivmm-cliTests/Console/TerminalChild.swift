@testable import TestSupport
@testable import minivmm_cli
@testable import Devices
import Glibc
@testable import Host
import Synchronization
import XCTest
@testable import minivmm_cli

/// Not a test, but what a process does that ``TerminalTests`` starts; see ``TerminalRole``.
final class TerminalChild: XCTestCase {
    /// Reports every byte that the guest gets.
    private struct Reporter: ConsoleReceiver {
        func isReadyToReceive() -> Bool { true }

        func receive(_ bytes: ArraySlice<UInt8>) -> Int {
            writeAll(Array(bytes), to: 3)
            return bytes.count
        }

        func end() {}
    }

    func testRole() throws {
        guard let role = TerminalRole.ofThisProcess else { return }
        var noCore = rlimit()
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &noCore)
        // A job is in the session of its shell; everybody else has one of their own, with the terminal as its own.
        if setsid() >= 0 { XCTAssertEqual(ioctl(0, UInt(TIOCSCTTY), 0), 0) }
        if role == .shell { return try TerminalShell().work() }
        let signals = role == .watches ? try ProcessWatch() : nil
        let terminal = try XCTUnwrap(Terminal(descriptor: 0))
        let input = try ConsoleInput(.terminal(terminal) { _ in }, to: Reporter(), bell: Doorbell())
        // Before that, a signal would end the process as it does by default.
        signals?.startRun { number in
            input.end()
            exit(128 + number)
        }
        writeAll([TerminalRole.started], to: 3)
        switch role {
        case .returns: input.end()
        case .exits: exit(TerminalRole.status)
        case .aborts: abort()
        case .faults: print(UnsafePointer<UInt8>(bitPattern: 8)?.pointee ?? 0)
        case .traps: print([UInt8]()[Int(getpid())])
        case .watches, .waits, .shell: while true { pause() }
        }
    }
}
