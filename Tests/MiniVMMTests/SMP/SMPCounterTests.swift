@testable import Boot
@testable import Counters
import Foundation
@testable import TestSupport
import XCTest

/// The guest `smp`: every vCPU makes a known number of exits at the same time as the others, and the counters are right
/// to the last one.
final class SMPCounterTests: KVMTestCase {
    /// How many runs of each kind.
    private static let runs = TestExtent.of(20, exhaustive: 100)

    /// What the guest makes each CPU do.
    private static let work: [ExitKind: UInt64] = [
        .portOut: 100, .portIn: 50, .mmioWrite: 20, .mmioRead: 10, .cpuid: 5,
    ]
    /// CPUIDs of the boot processor alone: how many CPUs there are, and two readings of four questions.
    private static let questions: UInt64 = 9

    func testTwo() throws { try check(2) }
    func testThree() throws { try check(3) }
    func testEight() throws { try check(8) }

    /// More than the host has.
    func testThirtyTwo() throws { try checkOnce(32, trap: .auto) }

    func testOne() throws { try checkOnce(1, trap: .auto) }

    func testEveryTrap() throws {
        for trap in try TestKVM.workingTraps() { try checkOnce(3, trap: trap) }
    }

    private func check(_ cpus: Int) throws {
        for _ in 0..<Self.runs { try checkOnce(cpus, trap: .auto) }
    }

    private func checkOnce(_ cpus: Int, trap: CPUIDTrap) throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "smp"))
        let run = try GuestRun(guest.image, trap: trap, cpus: cpus)
        guard case .exitPort(0) = run.outcome.ending else {
            return XCTFail("\(cpus) vCPUs, \(trap): \(run.outcome.ending.summary)\n\(run.console)")
        }
        XCTAssertTrue(run.console.hasPrefix("CPUs: \(cpus), "), run.console)
        XCTAssertTrue(run.console.hasSuffix("\nOK\n"), run.console)

        let statistics = run.outcome.statistics
        XCTAssertEqual(statistics.vcpus.map(\.vcpu), Array(0..<cpus))
        for vcpu in statistics.vcpus {
            var expected = Self.work
            if vcpu.vcpu == 0 {
                // What it prints, a byte an OUT, and the OUT that ends the run.
                expected[.portOut, default: 0] += UInt64(run.console.utf8.count) + 1
                expected[.cpuid, default: 0] += Self.questions
            }
            XCTAssertEqual(Self.exits(vcpu), expected, "vCPU \(vcpu.vcpu ?? -1) of \(cpus), \(trap)")
        }
        checkSums(statistics)
    }

    /// The sum over vCPUs is the total, and so is the sum over kinds.
    private func checkSums(_ statistics: RunStatistics) {
        let total = statistics.total
        XCTAssertEqual(statistics.vcpus.reduce(0) { $0 + $1.exits }, total.exits)
        XCTAssertEqual(statistics.vcpus.reduce(0) { $0 + $1.serviceCycles }, total.serviceCycles)
        XCTAssertEqual(statistics.vcpus.reduce(0) { $0 + $1.runCycles }, total.runCycles)
        XCTAssertEqual(statistics.vcpus.reduce(0) { $0 + $1.internalExits }, total.internalExits)
        XCTAssertEqual(total.kinds.reduce(0) { $0 + $1.exits }, total.exits)
        XCTAssertEqual(total.kinds.reduce(0) { $0 + $1.serviceCycles }, total.serviceCycles)
        for kind in total.kinds {
            let parts = statistics.vcpus.flatMap(\.kinds).filter { $0.kind == kind.kind }
            XCTAssertEqual(parts.reduce(0) { $0 + $1.exits }, kind.exits)
            XCTAssertEqual(parts.reduce(0) { $0 + $1.serviceCycles }, kind.serviceCycles)
            XCTAssertEqual(parts.map(\.max).max(), kind.max)
        }
    }

    private static func exits(_ vcpu: VCPUStatistics) -> [ExitKind: UInt64] {
        Dictionary(uniqueKeysWithValues: vcpu.kinds.map { ($0.kind, $0.exits) })
    }

    func testTheGuestTakesTheNumberOfCPUsFromItsArgument() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "smp"))
        let run = try GuestRun(guest.image, trap: .auto, argument: 2, cpus: 2)
        XCTAssertTrue(run.console.hasPrefix("CPUs: 2, ") && run.console.hasSuffix("\nOK\n"), run.console)
    }

    func testWithoutATrapTheGuestFindsNothingCounted() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "smp"))
        let run = try GuestRun(guest.image, trap: .none, cpus: 2)
        guard case .exitPort(1) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
        XCTAssertTrue(run.console.contains("another one on each CPU"), run.console)
        XCTAssertTrue(run.console.hasSuffix("\nMISMATCH\n"), run.console)
    }

    func testEveryCPUStorms() throws {
        let guest = try XCTUnwrap(BuiltInGuest(named: "storm-smp"))
        for cpus in [1, 2, 4] {
            let run = try GuestRun(guest.image, trap: .none, argument: 1000, cpus: cpus)
            guard case .exitPort(0) = run.outcome.ending else { return XCTFail(run.outcome.ending.summary) }
            for vcpu in run.outcome.statistics.vcpus {
                XCTAssertEqual(vcpu.exits, vcpu.vcpu == 0 ? 1001 : 1000, "vCPU \(vcpu.vcpu ?? -1) of \(cpus)")
            }
        }
    }

    func testEachVCPUIsInTheJSON() throws {
        let recorded = try RecordedRun(["--guest", "smp", "--cpus", "3"])
        XCTAssertEqual(recorded.run.end, .exited(0))
        let vcpus = recorded.record["vcpus"]?.elements ?? []
        XCTAssertEqual(vcpus.compactMap { $0["vcpu"]?.integer }, [0, 1, 2])
        let exits = vcpus.compactMap { $0["total"]?["exits"]?.integer }
        XCTAssertEqual(exits.reduce(0, +), recorded.totalExits)
        XCTAssertEqual(exits.dropFirst(), [185, 185])
        for vcpu in vcpus {
            let kinds = (vcpu["kinds"]?.elements ?? []).compactMap { $0["exits"]?.integer }
            XCTAssertEqual(kinds.reduce(0, +), vcpu["total"]?["exits"]?.integer)
        }
    }
}
