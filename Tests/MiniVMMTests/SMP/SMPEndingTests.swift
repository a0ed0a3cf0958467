@testable import Counters
import Foundation
@testable import Host
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Machines of several vCPUs end whole: from whichever vCPU, from outside, at whatever moment.
final class SMPEndingTests: KVMTestCase {
    private static let cpus: UInt8 = 4
    /// How many machines.
    private static let machines = TestExtent.of(TestBed.isEmulated ? 30 : 100, exhaustive: 1000)
    /// Machines that run before what the process holds is looked at: until then it sets things up that stay.
    private static let warmUp = 20
    /// The most exits before a machine is ended.
    private static let latest: UInt64 = 2000

    // How much more the process may hold in the end: far less than one machine for each of those that ran.
    private static let addressSpaceGrowth = 512 * 1024
    private static let residentGrowth = 32 * 1024

    /// Who ends a machine.
    private enum End: CaseIterable {
        case vcpu
        case outside
        /// Whoever comes first.
        case both
    }

    func testMachinesEndedAtRandomMoments() throws {
        var generator = SeededGenerator(seed: 6)
        var endings: [String: Int] = [:]
        for index in 0..<Self.warmUp { try run(End.allCases[index % 3], &generator, &endings) }
        let before = try ProcessStatus()
        endings = [:]
        for index in 0..<Self.machines { try run(End.allCases[index % 3], &generator, &endings) }
        var after = try ProcessStatus()
        // A thread that was joined is counted until the kernel is done with it.
        for _ in 0..<10_000 where after.threads > before.threads {
            sched_yield()
            after = try ProcessStatus()
        }

        XCTAssertEqual(endings.values.reduce(0, +), Self.machines, "an outcome for each: \(endings)")
        XCTAssertEqual(Set(endings.keys).subtracting(["exit_port", "stopped"]), [], "\(endings)")
        XCTAssertLessThanOrEqual(after.descriptors, before.descriptors)
        XCTAssertLessThanOrEqual(after.threads, before.threads)
        XCTAssertLessThan(after.addressSpaceKiB - before.addressSpaceKiB, Self.addressSpaceGrowth)
        XCTAssertLessThan(after.residentKiB - before.residentKiB, Self.residentGrowth)
    }

    private func run(_ end: End, _ generator: inout SeededGenerator, _ endings: inout [String: Int]) throws {
        let chosen = end == .outside ? nil : UInt8.random(in: 0..<Self.cpus, using: &generator)
        let outs = UInt32.random(in: 0...UInt32(Self.latest), using: &generator)
        let threshold = UInt64.random(in: 0...Self.latest, using: &generator)
        var outsider: PosixThread?
        let run = try GuestRun(
            SeveralCPUGuests.oneEndsTheRun, argument: SeveralCPUGuests.argument(ending: chosen, afterOuts: outs),
            cpus: Int(Self.cpus)
        ) { machine in
            if end != .vcpu { outsider = try Self.end(machine, after: threshold) }
        }
        outsider?.join()
        let outcome = run.outcome
        endings[outcome.ending.name, default: 0] += 1
        switch (outcome.ending, end) {
        case (.exitPort(let number), .vcpu), (.exitPort(let number), .both): XCTAssertEqual(number, chosen)
        case (.stopped, .outside), (.stopped, .both): break
        default: XCTFail("\(end) \(String(describing: chosen)) \(outs) \(threshold): \(outcome.ending.summary)")
        }
        checkBooks(outcome, end, outs: UInt64(outs))
    }

    /// Ends a machine from a thread of its own, once it has made a number of exits or is ending anyhow.
    private static func end(_ machine: Machine, after threshold: UInt64) throws -> PosixThread {
        try PosixThread(name: "outsider") {
            while machine.parts.counters.totalExits < threshold, !machine.control.isStopping { sched_yield() }
            machine.control.stop(.stopped)
        }
    }

    private func checkBooks(_ outcome: RunOutcome, _ end: End, outs: UInt64) {
        let statistics = outcome.statistics
        XCTAssertEqual(statistics.vcpus.count, Int(Self.cpus))
        XCTAssertEqual(statistics.vcpus.reduce(0) { $0 + $1.exits }, statistics.total.exits)
        XCTAssertEqual(statistics.total.kinds.map(\.kind).filter { $0 != .portOut }, [])
        if end == .vcpu { XCTAssertGreaterThan(statistics.total.exits, outs) }
    }

    func testAVCPUThatDiesEndsTheMachine() throws {
        let run = try GuestRun(SeveralCPUGuests.othersDie, cpus: 2)
        guard case .died(let death) = run.outcome.ending, case .unhandledInterrupt(0x42, _) = death.cause else {
            return XCTFail(run.outcome.ending.summary)
        }
        XCTAssertEqual(death.vcpu, 1)
        XCTAssertNotNil(death.state)
    }

    func testATimeoutEndsVCPUsThatMakeNoExits() throws {
        // None is told to end the run: one halts, one loops, two make exits.
        let run = try GuestRun(
            SeveralCPUGuests.oneEndsTheRun, argument: SeveralCPUGuests.argument(ending: nil, afterOuts: 0),
            cpus: Int(Self.cpus), timeout: .milliseconds(50))
        guard case .timeout = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
    }

    func testVCPUsThatNobodyStartsDoNotHoldTheMachine() throws {
        let run = try GuestRun(TinyGuest.exit(with: 7), cpus: 3)
        guard case .exitPort(7) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertEqual(run.outcome.statistics.vcpus.map(\.exits), [1, 0, 0])
    }
}
