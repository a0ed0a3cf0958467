@testable import Boot
@testable import Counters
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// What a machine keeps of its exits agrees with its counters, under every trap.
final class RecordedExitsTests: XCTestCase {
    /// Runs a built-in guest with everything kept.
    private func run(_ name: String, trap: CPUIDTrap = .auto, capacity: Int = 1 << 12) throws -> RunOutcome {
        let captured = try CapturedConsole()
        var options = MachineOptions()
        options.trap = trap
        options.consoleDescriptor = captured.descriptor
        options.recording.keepsTimeline = true
        options.recording.traceCapacity = capacity
        let guest = FlatGuest(image: try XCTUnwrap(BuiltInGuest(named: name)).image)
        return try Machine(kvm: TestKVM.shared(), guest: guest, options: options).run()
    }

    private func check(_ outcome: RunOutcome, _ message: String) throws {
        let trace = try XCTUnwrap(outcome.trace)
        XCTAssertEqual(trace.lostCount, 0)
        XCTAssertEqual(trace.tracks.count, outcome.statistics.vcpus.count)
        for (track, statistics) in zip(trace.tracks, outcome.statistics.vcpus) {
            XCTAssertEqual(track.vcpu, statistics.vcpu)
            XCTAssertEqual(UInt64(track.events.count), statistics.exits, message)
            for kind in statistics.kinds {
                let events = track.events.filter { $0.kind == kind.kind }
                XCTAssertEqual(UInt64(events.count), kind.exits, "\(message) \(kind.kind)")
                XCTAssertEqual(events.reduce(0) { $0 + $1.cycles }, kind.serviceCycles, "\(message) \(kind.kind)")
            }
            for (event, next) in zip(track.events, track.events.dropFirst()) {
                XCTAssertLessThanOrEqual(event.start + event.cycles, next.start, message)
            }
        }
        let timeline = try XCTUnwrap(outcome.timeline)
        XCTAssertEqual(timeline.series.map(\.kind), outcome.statistics.total.kinds.map(\.kind))
        XCTAssertEqual(
            timeline.series.map { $0.exits.reduce(0, +) }, outcome.statistics.total.kinds.map(\.exits), message)
        XCTAssertEqual(
            timeline.vcpus.map { $0.series.map { $0.exits.reduce(0, +) } },
            outcome.statistics.vcpus.map { $0.kinds.map(\.exits) }, message)
        XCTAssertEqual(
            outcome.distributions.map { $0.classes.reduce(0) { $0 + $1.exits } },
            outcome.statistics.total.kinds.map(\.exits))
    }

    func testEveryGuestUnderEveryTrap() throws {
        for trap in try TestKVM.workingTraps() {
            for guest in ["hello", "counters", "mmio", "string-io", "triple-fault"] {
                try check(run(guest, trap: trap, capacity: 1 << 16), "\(guest) \(trap)")
            }
        }
    }

    func testDetails() throws {
        let outcome = try run("counters")
        let events = try XCTUnwrap(outcome.trace?.tracks.first?.events)
        let asked = Set(events.filter { $0.kind == .cpuid }.map(\.subject))
        XCTAssertEqual(asked, [0, 0x4fff_fffc, 0x4fff_fffd, 0x4fff_fffe, 0x4fff_ffff])
        XCTAssertEqual(Set(events.filter { $0.kind == .portIn }.map(\.width)), [1])
        XCTAssertEqual(Set(events.filter { $0.kind == .mmioWrite }.map { $0.subject >> 12 }), [0xb8])
        let last = try XCTUnwrap(events.last)
        XCTAssertEqual([last.subject, UInt64(last.width), UInt64(last.extra)], [0xf4, 1, 1])
    }

    func testTheLastExitsAreKept() throws {
        let all = try XCTUnwrap(run("hello").trace)
        let few = try XCTUnwrap(run("hello", capacity: 5).trace)
        XCTAssertEqual(few.exitCount, 8)
        XCTAssertEqual(few.lostCount, UInt64(all.exitCount - 8))
        let kept = { (trace: ExitTrace) in
            trace.tracks.flatMap(\.events).suffix(8).map { [$0.subject, UInt64($0.kindNumber)] }
        }
        XCTAssertEqual(kept(few), kept(all))
    }

    func testNothingIsKeptUnlessAskedFor() throws {
        let run = try GuestRun([0xf4])
        XCTAssertNil(run.outcome.timeline)
        XCTAssertNil(run.outcome.trace)
        XCTAssertEqual(run.outcome.distributions, [])
    }
}
