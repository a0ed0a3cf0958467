@testable import Counters
@testable import Devices
@testable import Host
@testable import Memory
@testable import Report
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// What `--stats json` writes is what `Schemas/run.schema.json` says, and nothing less.
final class RunSchemaTests: XCTestCase {
    private func check(_ record: JSONValue, line: UInt = #line) throws {
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [], line: line)
    }

    private func record(_ outcome: RunOutcome) throws -> JSONValue {
        try JSONValue(RunRecord(outcome, leaves: .f21).json())
    }

    func testRunsOfEveryEndingAreValid() throws {
        _ = try TestKVM.shared()
        for (arguments, ending) in [
            (["--guest", "hello"], "halted"), (["--guest", "counters"], "exit_port"),
            (["--guest", "triple-fault"], "died"), (["--guest", "fault"], "died"),
            (["--guest", "string-io"], "exit_port"),
            (["--guest", "spin", "--timeout", "0.1"], "timeout"),
        ] {
            let recorded = try RecordedRun(arguments)
            XCTAssertEqual(recorded.ending, ending)
            try check(recorded.record)
        }
    }

    func testEveryKindAndEndingIsInTheSchema() throws {
        let death = GuestDeath(cause: .tripleFault, vcpu: 0, state: nil)
        let endings: [RunEnding] = [
            .halted, .exitPort(1), .programExited(1), .programKilled(9), .poweredOff, .reset, .panicked, .died(death),
            .timeout, .signal(2), .stopped, .failed(ConsoleError.notWritable(.outOfMemory)),
        ]
        for ending in endings { try check(record(.example([[]], ending: ending))) }
        try check(record(.example([ExitKind.allCases.map { .init($0, [1]) }])))
        for trap in CPUIDTrap.allCases where trap != .auto { try check(record(.example([[]], trap: trap))) }
    }

    func testEveryCauseOfDeathIsInTheSchema() throws {
        let causes: [GuestDeath.Cause] = [
            .tripleFault, .unhandledVector(6, at: SegmentedAddress(segment: 0, offset: 0)),
            .unhandledInterrupt(0x21, at: SegmentedAddress(segment: 0, offset: 0)),
            .codeOutsideMemory(at: GuestPhysicalAddress(0xa0000)),
            .emulationFailure(instruction: [1]), .internalError(suberror: 2), .failEntry(hardwareReason: 1),
            .crashEvent(type: 3), .unexpectedExit(name: "x", reason: 9),
        ]
        for cause in causes {
            let death = GuestDeath(cause: cause, vcpu: 0, state: nil)
            try check(record(.example([[]], ending: .died(death))))
        }
    }

    func testNumbersAreThoseOfTheRun() throws {
        let outcome = RunOutcome.example(
            [[.init(.portOut, [100, 300])], [.init(.portOut, [50]), .init(.internalError, [7])]],
            ending: .exitPort(9), runCycles: 1000, internalCycles: [60], duration: .microseconds(1500), tscKHz: nil,
            trap: .step, unclaimedPorts: [UnclaimedAddress(address: 0x70, reads: 1, writes: 2)])
        let expected = """
            {
              "schema": 1, "version": "\(ReportMaker.version)",
              "outcome": {
                "kind": "exit_port", "summary": "the guest exited with status 9", "exit_status": 9, "death": null
              },
              "duration_ns": 1500000, "tsc_khz": null, "leaves": "f21", "cpuid_trap": "step",
              "total": {
                "exits": 4, "service_cycles": 457, "run_cycles": 2000, "internal_exits": 2, "internal_cycles": 120
              },
              "kinds": [
                {"kind": "io_out", "sdm": 30, "exits": 3, "service_cycles": 450, "p50": 100, "p99": 300, "max": 300},
                {"kind": "internal_error", "sdm": null, "exits": 1, "service_cycles": 7, "p50": 7, "p99": 7, "max": 7}
              ],
              "vcpus": [
                {
                  "vcpu": 0,
                  "total": {
                    "exits": 2, "service_cycles": 400, "run_cycles": 1000, "internal_exits": 1, "internal_cycles": 60
                  },
                  "kinds": [
                    {"kind": "io_out", "sdm": 30, "exits": 2, "service_cycles": 400, "p50": 100, "p99": 300, "max": 300}
                  ]
                },
                {
                  "vcpu": 1,
                  "total": {
                    "exits": 2, "service_cycles": 57, "run_cycles": 1000, "internal_exits": 1, "internal_cycles": 60
                  },
                  "kinds": [
                    {"kind": "io_out", "sdm": 30, "exits": 1, "service_cycles": 50, "p50": 50, "p99": 50, "max": 50},
                    {
                      "kind": "internal_error", "sdm": null, "exits": 1, "service_cycles": 7, "p50": 7, "p99": 7,
                      "max": 7
                    }
                  ]
                }
              ],
              "unclaimed_ports": [{"address": 112, "reads": 1, "writes": 2}],
              "unclaimed_pages": [],
              "kernel_statistics": null, "exits_scope": "user", "kernel_settled": null, "context": null, "time_series": null, "distributions": null,
              "advice": [], "scheduling": null
            }
            """
        let record = try record(outcome)
        XCTAssertEqual(record, try JSONValue(expected))
        try check(record)
    }

    func testDamagedRecordsAreNotValid() throws {
        try TestBed.skipWhereEmulated()
        _ = try TestKVM.shared()
        let schema = try JSONSchema(file: "run.schema.json")
        for guest in ["mmio", "fault", "string-io"] {
            let cases = JSONDamage.all(of: try RecordedRun(["--guest", guest]).record)
            XCTAssertGreaterThan(cases.count, 100)
            // Which statistics, mitigations and parameters a kernel has is not the schema's to say.
            let open = [".counts.", ".mitigations.", ".parameters."]
            for damage in cases
            where !(damage.what.hasSuffix(" removed") && open.contains { damage.what.contains($0) }) {
                XCTAssertNotEqual(schema.problems(of: damage.value), [], damage.what)
            }
        }
    }
}
