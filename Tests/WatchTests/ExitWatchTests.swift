@testable import Boot
import Glibc
@testable import Host
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM
@testable import Watch

/// How a watch goes and ends, whether exits can be seen here or not.
final class ExitWatchTests: KVMTestCase {
    /// A watch of a process; skipped where the kernel does not let this one.
    private func watch(_ process: Int32) throws -> ExitWatch {
        do {
            return try ExitWatch(WatchedProcess(process))
        } catch WatchError.tracepoints(let error) {
            throw XCTSkip(error.explanation)
        }
    }

    private func machine() throws -> Machine {
        try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: TinyGuest.letter), options: MachineOptions())
    }

    func testEndsWhenItsTimeIsUp() throws {
        let machine = try machine()
        let watch = try watch(getpid())
        var lengths: [Duration] = []
        let pulse = WatchPulse(every: .milliseconds(10), includesRest: true) { lengths.append($0.length) }
        let outcome = watch.run(for: .milliseconds(35), pulses: [pulse], stop: try WatchStop())
        XCTAssertEqual(outcome.ending, .timeUp)
        XCTAssertGreaterThanOrEqual(outcome.look.elapsed, .milliseconds(35))
        XCTAssertEqual(lengths.reduce(.zero, +), outcome.look.elapsed)
        XCTAssertGreaterThanOrEqual(lengths.count, 2)
        withExtendedLifetime(machine) {}
    }

    func testEndsBySignal() throws {
        let machine = try machine()
        let stop = try WatchStop()
        stop.stop(signal: SIGTERM)
        XCTAssertEqual(try watch(getpid()).run(for: nil, stop: stop).ending, .signal(SIGTERM))
        withExtendedLifetime(machine) {}
    }

    func testEndsWithTheProcess() throws {
        var request = try SpawnRequest([MiniVMMExecutable.path(), "run", "--guest", "spin", "--stats", "none"])
        let child = try ChildProcess(&request)
        while OpenFile.vcpuCount(of: child.id) == 0 { sched_yield() }
        let watch = try watch(child.id)
        try child.send(SIGKILL)
        let outcome = watch.run(for: nil, stop: try WatchStop())
        XCTAssertEqual(outcome.ending, .processEnded)
        XCTAssertEqual(outcome.process, child.id)
        XCTAssertEqual(outcome.name, "minivmm")
        XCTAssertNil(outcome.check)
        _ = try child.waitForEnd()
    }

    func testPulseThatFailsEndsTheWatch() throws {
        struct Fault: Error {}
        let machine = try machine()
        let pulse = WatchPulse(every: .milliseconds(1), includesRest: true) { _ in throw Fault() }
        let outcome = try watch(getpid()).run(for: nil, pulses: [pulse], stop: try WatchStop())
        XCTAssertTrue(outcome.error is Fault)
        withExtendedLifetime(machine) {}
    }
}

extension OpenFile {
    fileprivate static func vcpuCount(of process: Int32) -> Int {
        ((try? all(of: process)) ?? []).filter { $0.vcpu != nil }.count
    }
}
