@testable import Bench
@testable import Doctor
@testable import Host
@testable import KVM
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// What `minivmm doctor --json` prints is what `Schemas/doctor.schema.json` says.
final class DoctorSchemaTests: XCTestCase {
    private func record(_ diagnosis: HostDiagnosis) throws -> JSONValue {
        try JSONValue(DoctorRecord(diagnosis).json())
    }

    func testRealHostIsValid() throws {
        let schema = try JSONSchema(file: "doctor.schema.json")
        for device in ["/dev/kvm", "/nonexistent/kvm"] {
            let run = try CommandLineRun(["doctor", "--json", "--kvm-device", device])
            XCTAssertEqual(schema.problems(of: try JSONValue(run.output)), [])
        }
    }

    func testOtherHostsAreValid() throws {
        let schema = try JSONSchema(file: "doctor.schema.json")
        for diagnosis in [
            HostDiagnosis.example(), .example(processor: nil, missing: Capability.all, tscKHz: nil),
            .example(traps: .failure(.ioctl(name: "KVM_RUN", .outOfMemory))),
            .example(
                exitCounting: ExitCounting(
                    raw: TracepointError.doesNotCount(expected: 100, seen: 0),
                    classic: TracepointError.noTraceFileSystem(.notPermitted))),
            .example(linux: nil), .example(linux: .emulatesRingZero),
            .example(modules: [], failure: .wrongAPIVersion(found: 11, expected: 12)),
        ] {
            XCTAssertEqual(schema.problems(of: try record(diagnosis)), [])
        }
    }

    func testMembersAreThoseOfTheDiagnosis() throws {
        let record = try record(
            .example(
                missing: Array(Capability.all.dropFirst(2)),
                traps: .success(CPUIDTrapSupport(debug: false, patch: true, step: true))))
        XCTAssertEqual(record["usable"], .bool(false))
        XCTAssertEqual(record["device"], .string("/dev/kvm"))
        XCTAssertEqual(record["modules"], .array([.string("kvm"), .string("kvm_intel")]))
        XCTAssertEqual(record["tsc_khz"], .integer(2_000_000))
        XCTAssertEqual(record["capabilities"]?["KVM_CAP_USER_MEMORY"], .integer(1))
        XCTAssertEqual(record["capabilities"]?["KVM_CAP_IMMEDIATE_EXIT"], .integer(0))
        XCTAssertEqual(
            record["cpuid_traps"],
            .object(["debug": .bool(false), "patch": .bool(true), "step": .bool(true), "fault": .bool(true)]))
        XCTAssertEqual(record["linux_guests"], .object(["boot": .bool(true), "obstacle": .null]))
        let works = JSONValue.object(["works": .bool(true), "explanation": .null, "remedy": .null])
        XCTAssertEqual(record["tracepoints"], .object(["raw": works, "classic": works]))
        XCTAssertEqual(
            record["problems"],
            try JSONValue(
                """
                [{
                  "explanation": "This KVM lacks KVM_CAP_IMMEDIATE_EXIT.",
                  "remedy": "Run a newer kernel; `minivmm doctor` lists what MiniVMM uses."
                }]
                """))
    }

    func testDamagedRecordsAreNotValid() throws {
        let schema = try JSONSchema(file: "doctor.schema.json")
        let cases = JSONDamage.all(of: try record(.example(missing: [.userMemory])))
        XCTAssertGreaterThan(cases.count, 50)
        // Which capabilities there are is not the schema's to say.
        for damage in cases where !(damage.what.contains(".capabilities.") && damage.what.hasSuffix(" removed")) {
            XCTAssertNotEqual(schema.problems(of: damage.value), [], damage.what)
        }
    }
}
