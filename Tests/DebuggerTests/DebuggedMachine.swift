import XCTest

@testable import Boot
@testable import Counters
@testable import Debugger
@testable import Host
@testable import MiniVMM
@testable import TestSupport

/// A machine that runs on a thread of its own, with a server for debuggers.
final class DebuggedMachine {
    let machine: Machine
    let listener: LocalListener
    private let server: DebugServer
    private let thread: PosixThread
    private let result = Result()
    private var isOver = false

    /// What the run came to.
    private final class Result: Sendable {
        let outcome = Locked<RunOutcome?>(nil)
    }

    /// Starts it.
    ///
    /// - Parameter waits: Whether it waits for a debugger before its first instruction.
    init(
        _ image: [UInt8], cpus: Int = 1, argument: UInt32 = 0, waits: Bool = true, trap: CPUIDTrap = .auto,
        address: LocalAddress = .port(0), support: DebugSupport? = nil
    ) throws {
        let control = try DebugControl()
        if waits { control.holdFromTheStart() }
        var options = MachineOptions()
        options.debugging = control
        options.cpuCount = cpus
        options.trap = trap
        var guest = FlatGuest(image: image)
        guest.argument = argument
        let machine = try Machine(kvm: TestKVM.shared(), guest: guest, options: options)
        self.machine = machine
        listener = try LocalListener(at: address)
        let server = try DebugServer(listener, machine: machine, control: control, support: support)
        self.server = server
        let result = result
        thread = try PosixThread(name: "run") {
            let outcome = try? machine.run(timeout: .seconds(GuestRun.limit))
            result.outcome.withLock { $0 = outcome }
            server.end(outcome?.ending ?? .stopped)
        }
    }

    /// A test that has failed ends it here.
    deinit {
        guard !isOver else { return }
        machine.control.stop(.stopped)
        thread.join()
    }

    func connect() throws -> RemoteClient { try RemoteClient(to: listener) }

    /// Waits until the run is over.
    func finish() throws -> RunOutcome {
        thread.join()
        isOver = true
        return try XCTUnwrap(result.outcome.withLock { $0 })
    }
}
