@testable import Counters
@testable import KVM
@testable import Report
@testable import TestSupport
import XCTest

/// What each rule finds, and that it finds nothing without its evidence.
final class AdviceTests: XCTestCase {
    private func sentences(_ outcome: RunOutcome) -> [String] { AdviceRules(outcome).advice.map(\.sentence) }

    /// A run of a second on one vCPU.
    private func made(_ exits: [RunOutcome.ExampleExits] = [], trap: CPUIDTrap = .none) -> RunOutcome {
        .example([exits], runCycles: 1_000_000, duration: .seconds(1), trap: trap)
    }

    private func times(_ count: Int, _ value: UInt64 = 10) -> [UInt64] { Array(repeating: value, count: count) }

    private func made(
        settled: [KernelSettledExits.ExampleReason], places: [(BasicExitReason, ExitPlaces.Subject, UInt64)] = []
    ) -> RunOutcome {
        var outcome = made()
        let kept = places.map {
            ExitPlaces.Place(
                vcpu: 0, exit: .kvm(code: nil, reason: $0.0), address: nil, subject: $0.1, exits: $0.2, time: 0,
                histogram: [])
        }
        outcome.kernelSettled = .example(settled)
        outcome.places = ExitPlaces(places: kept)
        return outcome
    }

    private func made(counts: [(String, UInt64)]) -> RunOutcome {
        var outcome = made()
        outcome.kernelStatistics = [
            KernelStatistics(
                identifier: "a",
                statistics: counts.map {
                    KernelStatistic(name: $0.0, kind: .cumulative, unit: .none, exponent: 0, base: .ten, values: [$0.1])
                })
        ]
        return outcome
    }

    private func event(_ kind: ExitKind, _ port: UInt64) -> TraceEvent {
        var event = TraceEvent()
        event.kindNumber = UInt8(kind.rawValue)
        event.subject = port
        event.extra = 1
        event.width = 1
        return event
    }

    private func trace(_ events: [[TraceEvent]]) -> RunOutcome {
        var outcome = made()
        outcome.trace = ExitTrace(tracks: [.init(vcpu: 0, events: Array(events.joined()), lostCount: 0)], origin: 0)
        return outcome
    }

    func testNothingIsSaidWithoutEvidence() {
        XCTAssertEqual(sentences(made()), [])
        XCTAssertEqual(sentences(ReportExample.outcome), [])
        XCTAssertEqual(sentences(made([.init(.portOut, times(5000)), .init(.hlt, times(5000))])), [])
    }

    func testSerialPort() {
        let data = Array(repeating: event(.portOut, 0x3f8), count: 900)
        let status = Array(repeating: event(.portIn, 0x3fd), count: 900)
        let other = Array(repeating: event(.portOut, 0x80), count: 200)
        XCTAssertEqual(
            sentences(trace([data, status, other])), ["ttyS0 takes 90% of the traced exits, 900 bytes one by one."])
        XCTAssertEqual(sentences(trace([data])), [], "too few")
        XCTAssertEqual(
            sentences(trace([data, status, Array(repeating: event(.mmioRead, 0x3f8), count: 1801)])), [],
            "less than half of them")
    }

    func testBusyPort() {
        XCTAssertEqual(
            sentences(trace([Array(repeating: event(.portOut, 0x80), count: 1000)])),
            ["port 0x80 (POST code) takes 100% of the traced exits, a value each."])
    }

    func testPortsByPlaces() {
        func place(_ kind: ExitKind, _ port: UInt16, _ exits: UInt64) -> ExitPlaces.Place {
            ExitPlaces.Place(
                vcpu: 0, exit: .minivmm(kind), address: nil, subject: kind == .hlt ? nil : .port(port), exits: exits,
                time: 0, histogram: [])
        }
        var outcome = made([.init(.portOut, times(3000)), .init(.portIn, times(3000)), .init(.hlt, times(1500))])
        outcome.places = ExitPlaces(places: [
            place(.portOut, 0x3f8, 2500), place(.portIn, 0x3fd, 3000), place(.portOut, 0x3f9, 100),
            place(.portOut, 0x80, 400), place(.hlt, 0, 1500),
        ])
        // The trace, which may have lost some, says nothing where the places do.
        outcome.trace = ExitTrace(
            tracks: [.init(vcpu: 0, events: Array(repeating: event(.portOut, 0x80), count: 2000), lostCount: 0)],
            origin: 0)
        XCTAssertEqual(sentences(outcome), ["ttyS0 takes 75% of exits, 2500 bytes one by one."])
        outcome.places = ExitPlaces(places: [place(.portOut, 0x80, 6000)], lostExits: 1500)
        XCTAssertEqual(sentences(outcome), ["port 0x80 (POST code) takes 80% of exits, a value each."])
    }

    func testMissingDevices() {
        var outcome = RunOutcome.example(
            [[.init(.portIn, times(4000)), .init(.mmioRead, times(6000))]],
            unclaimedPorts: [
                .init(address: 0x70, reads: 3, writes: 0), .init(address: 0x2f8, reads: 3000, writes: 900),
            ],
            unclaimedPages: [.init(address: 0xfed0_0000, reads: 6000, writes: 0)])
        XCTAssertEqual(
            sentences(outcome),
            [
                "Nobody claims page 0xfed00000 (HPET): 6000 accesses, 60% of exits.",
                "Nobody claims port 0x2f8 (ttyS1): 3900 accesses, 39% of exits.",
            ])
        outcome = RunOutcome.example(
            [[.init(.portIn, times(40000))]], unclaimedPorts: [.init(address: 0x70, reads: 3999, writes: 0)])
        XCTAssertEqual(sentences(outcome), [], "less than a tenth")
    }

    func testLocalAPIC() {
        let settled = [KernelSettledExits.ExampleReason(code: 0x400, reason: 49, settled: times(4000))]
        XCTAssertEqual(
            sentences(made(settled: settled, places: [(.eptMisconfiguration, .page(0xfee0_0000), 3000)])),
            ["3000 accesses to the local APIC by MMIO are 75% of exits."])
        XCTAssertEqual(
            sentences(made(settled: settled, places: [(.eptMisconfiguration, .page(0xfec0_0000), 3000)])), [])
        // Where the processor tells, a place adds nothing.
        let accesses = [KernelSettledExits.ExampleReason(code: 0x60, reason: 44, settled: times(2000))]
        XCTAssertEqual(
            sentences(made(settled: accesses, places: [(.apicAccess, .page(0xfee0_0000), 2000)])),
            ["2000 accesses to the local APIC by MMIO are 100% of exits."])
    }

    func testTimer() {
        let settled = [KernelSettledExits.ExampleReason(code: 0x7c, reason: 32, settled: times(4000))]
        XCTAssertEqual(
            sentences(made(settled: settled, places: [(.wrmsr, .msr(0x6e0), 2000), (.wrmsr, .msr(0x838), 1000)])),
            ["2000 writes of IA32_TSC_DEADLINE set a timer: 50% of exits."])
        XCTAssertEqual(
            sentences(made(settled: settled, places: [(.rdmsr, .msr(0x6e0), 2000), (.wrmsr, .msr(0x10), 4000)])), [])
    }

    func testProgramCPUIDs() {
        let exits = [RunOutcome.ExampleExits(.cpuid, times(1500)), .init(.hlt, times(500))]
        XCTAssertEqual(
            sentences(made(exits, trap: .fault)), ["1500 CPUIDs of programs are 75% of exits, a fault each."])
        XCTAssertEqual(sentences(made(exits, trap: .debug)), [])
    }

    func testHostInterrupts() {
        let text = ["4000 interrupts of the host are 80% of exits: 4000 a second on each vCPU."]
        XCTAssertEqual(sentences(made(counts: [("exits", 5000), ("irq_exits", 4000)])), text)
        XCTAssertEqual(
            sentences(
                made(settled: [
                    .init(code: 0x60, reason: 1, settled: times(4000)),
                    .init(code: 0x72, reason: 10, settled: times(1000)),
                ])), text)
        XCTAssertEqual(sentences(made(counts: [("exits", 1100), ("irq_exits", 1100)])), [], "a tick")
    }

    func testNestedPageFaults() {
        XCTAssertEqual(
            sentences(
                made(settled: [
                    .init(code: 0x400, reason: 48, settled: times(1500)),
                    .init(code: 0x72, reason: 10, settled: times(1500)),
                ])), ["1500 first touches of guest memory are 50% of exits."])
        XCTAssertEqual(
            sentences(made(settled: [.init(code: 0x400, reason: 48, settled: times(10), passedOn: 5000)])), [],
            "devices' registers are no memory")
    }

    func testShadowPaging() {
        let faults = KernelSettledExits.ExampleReason(code: 0x4e, reason: 0, settled: times(3000))
        let registers = KernelSettledExits.ExampleReason(code: 0x13, reason: 28, settled: times(1000))
        XCTAssertEqual(
            sentences(made(settled: [faults, registers])),
            ["4000 page faults and CR writes are 100% of exits: KVM shadows page tables."])
        XCTAssertEqual(sentences(made(settled: [faults])), [])
        let nested = KernelSettledExits.ExampleReason(code: 0x400, reason: 48, settled: times(1))
        XCTAssertEqual(sentences(made(settled: [faults, registers, nested])), [])
    }

    func testEmulatedInstructions() {
        XCTAssertEqual(
            sentences(made(counts: [("exits", 5000), ("insn_emulation", 49_999)])),
            ["KVM emulated 49999 instructions, 9 for each exit of the processor."])
        XCTAssertEqual(sentences(made(counts: [("exits", 15_000), ("insn_emulation", 59_999)])), [])
        XCTAssertEqual(sentences(made(counts: [("exits", 5), ("insn_emulation", 9999)])), [])
    }

    func testSingleSteps() {
        func outcome(_ trap: CPUIDTrap) -> RunOutcome {
            .example([[]], runCycles: 10_000, internalCycles: times(1000), trap: trap)
        }
        XCTAssertEqual(sentences(outcome(.step)), ["1000 single steps of the CPUID trap took 50% of the time."])
        XCTAssertEqual(sentences(outcome(.debug)), [])
    }

    func testHaltPolling() {
        XCTAssertEqual(
            sentences(made(counts: [("halt_poll_success_ns", 100_000_000), ("halt_poll_fail_ns", 150_000_000)])),
            ["KVM waited actively in halts for 250 ms, 25% of the vCPUs' time."])
        XCTAssertEqual(sentences(made(counts: [("halt_poll_fail_ns", 99_000_000)])), [])
    }

    /// 10,000 exits, of which a device has some.
    private func made(
        _ kind: DeviceActivity.Kind, exits: UInt64 = 4000, byKernel: Bool = true, requests: UInt64, bytes: UInt64,
        interrupts: UInt64 = 0, frames: UInt64? = nil
    ) -> RunOutcome {
        var outcome = made([.init(.mmioRead, times(10_000))])
        outcome.devices = [
            DeviceActivity(
                kind, name: "it", exits: exits, isNotifiedByKernel: byKernel, requests: requests, bytesFromGuest: bytes,
                bytesToGuest: bytes, interrupts: interrupts,
                frames: frames.map { .init(fromGuest: $0, toGuest: $0, dropped: 7) })
        ]
        return outcome
    }

    func testSmallRequests() {
        // On the average as many bytes as just are small, and one more.
        for (kind, limit) in [(DeviceActivity.Kind.console, 256), (.disk, 16384), (.share, 16384)] {
            XCTAssertEqual(
                sentences(made(kind, requests: 2000, bytes: 1000 * UInt64(limit - 1))),
                ["it takes 40% of exits, for requests of \(limit - 1) bytes each."])
            XCTAssertEqual(sentences(made(kind, requests: 2000, bytes: 1000 * UInt64(limit))), [])
        }
        XCTAssertEqual(sentences(made(.entropy, requests: 2000, bytes: 2000)), [])
        XCTAssertEqual(sentences(made(.disk, requests: 0, bytes: 0)), [])
        XCTAssertEqual(sentences(made(.disk, exits: 999, requests: 2000, bytes: 2000)), [], "too few")
    }

    func testSmallFrames() {
        // Merged buffers: several requests are one frame.
        XCTAssertEqual(
            sentences(made(.network, requests: 90_000, bytes: 2000 * 1535, frames: 2000)),
            ["it takes 40% of exits, for frames of 1535 bytes each."])
        XCTAssertEqual(sentences(made(.network, requests: 90_000, bytes: 2000 * 1536, frames: 2000)), [])
    }

    func testNotificationsByExit() {
        for kind in [DeviceActivity.Kind.disk, .share, .network] {
            XCTAssertEqual(
                sentences(made(kind, byKernel: false, requests: 1, bytes: 1 << 20, interrupts: 1500)),
                ["1000 notifications of it are 10% of exits."])
            XCTAssertEqual(sentences(made(kind, requests: 1, bytes: 1 << 20, interrupts: 1500)), [])
            XCTAssertEqual(sentences(made(kind, byKernel: false, requests: 1, bytes: 1 << 20, interrupts: 2001)), [])
        }
        XCTAssertEqual(
            sentences(made(.console, byKernel: false, requests: 1, bytes: 1 << 20)), [], "there is no other way")
    }

    func testReportsShowIt() throws {
        let outcome = made([.init(.cpuid, times(1500))], trap: .fault)
        let remedies = AdviceRemedies { "Do <\($0.count)> of " + String(repeating: "many ", count: 15) + "things." }
        let text = TextReport(outcome, remedies: remedies).text
        XCTAssertTrue(
            text.hasSuffix(
                """

                * 1500 CPUIDs of programs are 100% of exits, a fault each.
                  Do <1500> of many many many many many many many many many many many many many
                  many many things.

                """), text)
        let record = try JSONValue(RunRecord(outcome, leaves: .f22, exitStatus: 0, remedies: remedies).json())
        XCTAssertEqual(record["advice"]?[0]?["rule"]?.string, "program_cpuids")
        XCTAssertEqual(record["advice"]?[0]?["count"]?.integer, 1500)
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        let silent = try JSONValue(RunRecord(outcome, leaves: .f22, exitStatus: 0).json())
        XCTAssertEqual(silent["advice"]?[0]?["remedy"], .null)
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: silent), [])
        XCTAssertEqual(try JSONValue(RunRecord(made(), leaves: .f22, exitStatus: 0).json())["advice"], .array([]))
        let html = HTMLReport(outcome, leaves: .f22, context: ReportExample.context, remedies: remedies).text
        XCTAssertTrue(html.contains("<b>1500 CPUIDs of programs are 100% of exits, a fault each.</b> Do &lt;1500&gt;"))
        XCTAssertFalse(
            HTMLReport(made(), leaves: .f22, context: ReportExample.context, remedies: remedies).text.contains("Advice")
        )
    }
}
