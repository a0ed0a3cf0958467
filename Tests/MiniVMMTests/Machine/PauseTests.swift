@testable import TestSupport
import XCTest

@testable import Counters
@testable import Host
@testable import MiniVMM

/// Runs that are paused and go on.
final class PauseTests: KVMTestCase {
    /// A guest that makes exits for ever: out 0x80, al; jmp to it.
    private static let endless: [UInt8] = [0xe6, 0x80, 0xeb, 0xfc]

    /// Runs a machine on a thread of its own while the test does something, and ends it.
    private func whileRunning(
        _ machine: Machine, _ body: () throws -> Void
    ) throws -> RunOutcome {
        let result = Locked<RunOutcome?>(nil)
        let thread = try PosixThread(name: "run") {
            let outcome = try? machine.run(timeout: .seconds(GuestRun.limit))
            result.withLock { $0 = outcome }
        }
        defer { machine.control.stop(.stopped) }
        do {
            try body()
        } catch {
            machine.control.stop(.stopped)
            thread.join()
            throw error
        }
        machine.control.stop(.stopped)
        thread.join()
        return try XCTUnwrap(result.withLock { $0 })
    }

    /// Waits until the guest has made more exits.
    private func waitForExits(_ machine: Machine, beyond count: UInt64) {
        while machine.countersSoFar.exits <= count, !machine.control.isStopping { sched_yield() }
    }

    /// Lets two milliseconds pass, in which a vCPU that still ran would make hundreds of exits. A number of yields would take
    /// a busy machine longer than the run may.
    private func giveExitsTime() {
        let end = ContinuousClock.now + .milliseconds(2)
        while ContinuousClock.now < end { sched_yield() }
    }

    private func assertPauses(_ machine: Machine, rounds: Int = 20) throws {
        let outcome = try whileRunning(machine) {
            var last: UInt64 = 0
            for round in 0..<rounds {
                waitForExits(machine, beyond: last)
                XCTAssertTrue(machine.control.pause(), "round \(round)")
                let paused = machine.countersSoFar
                XCTAssertGreaterThan(paused.exits, last, "round \(round)")
                giveExitsTime()
                XCTAssertEqual(machine.countersSoFar, paused, "round \(round)")
                last = paused.exits
                machine.control.resume()
            }
        }
        XCTAssertEqual(outcome.ending.name, "stopped")
        let total = outcome.statistics.total
        XCTAssertEqual(total.exits, total.kinds.reduce(0) { $0 + $1.exits })
    }

    func testCountersStandStillWhilePaused() throws {
        try assertPauses(Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: Self.endless)))
    }

    func testSeveralVCPUs() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "storm-smp"))
        var options = MachineOptions()
        options.cpuCount = 3
        options.trap = .none
        var flat = FlatGuest(image: guest.image)
        flat.argument = .max
        try assertPauses(Machine(kvm: TestKVM.shared(), guest: flat, options: options))
    }

    func testPausesAddUp() throws {
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: Self.endless))
        _ = try whileRunning(machine) {
            waitForExits(machine, beyond: 0)
            XCTAssertTrue(machine.control.pause())
            XCTAssertTrue(machine.control.pause())
            machine.control.resume()
            let paused = machine.countersSoFar
            giveExitsTime()
            XCTAssertEqual(machine.countersSoFar, paused)
            machine.control.resume()
            // Once too often changes nothing.
            machine.control.resume()
            waitForExits(machine, beyond: paused.exits)
        }
    }

    func testAPauseBeforeTheStartHoldsTheFirstExit() throws {
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: Self.endless))
        XCTAssertTrue(machine.control.pause())
        _ = try whileRunning(machine) {
            giveExitsTime()
            XCTAssertEqual(machine.countersSoFar.exits, 0)
            machine.control.resume()
            waitForExits(machine, beyond: 0)
        }
    }

    func testARunThatEndsWhilePaused() throws {
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: Self.endless))
        let outcome = try whileRunning(machine) {
            waitForExits(machine, beyond: 0)
            XCTAssertTrue(machine.control.pause())
            machine.control.stop(.timeout)
            XCTAssertFalse(machine.control.pause(), "there is nothing left to pause")
        }
        XCTAssertEqual(outcome.ending.name, "timeout")
    }

    func testAMachineRunsOnce() throws {
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: [0xf4]))
        XCTAssertEqual(try machine.run().ending.name, "halted")
        XCTAssertThrowsError(try machine.run()) { error in
            XCTAssertEqual(error as? MachineError, .alreadyRun)
        }
    }
}
