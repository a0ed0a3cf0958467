@testable import Boot
@testable import Counters
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// --cpuid-trap and --cpuid-site, with what the self-test says of the traps on this bed.
final class CPUIDOptionTests: KVMTestCase {
    private static let mechanisms = ["debug", "patch", "step"]

    private func works(_ trap: String) throws -> Bool {
        try TestKVM.workingTraps().map(\.rawValue).contains(trap)
    }

    /// The addresses of the CPUIDs in a built-in guest.
    private func sites(of guest: String) throws -> [String] {
        let image = try XCTUnwrap(BuiltInGuest(named: guest)).image
        return CPUIDSites(scanning: image, loadedAt: 0x7c00).addresses.map { "0x" + String($0, radix: 16) }
    }

    func testEachTrapCountsExactlyOrIsRefused() throws {
        for trap in Self.mechanisms {
            if try works(trap) {
                let recorded = try RecordedRun(["--guest", "counters", "--cpuid-trap", trap])
                recorded.run.assertStatus(0, trap)
                XCTAssertEqual(recorded.record["cpuid_trap"]?.string, trap)
                XCTAssertEqual(recorded.exits["cpuid"], 21, trap)
            } else {
                let run = try CommandLineRun(["run", "--guest", "counters", "--cpuid-trap", trap])
                run.assertStatus(69)
                XCTAssertEqual(run.output, [])
                XCTAssertEqual(
                    run.errors,
                    """
                    minivmm: The CPUID trap `\(trap)` does not work on this host.
                    Use --cpuid-trap auto; `minivmm doctor` lists what works here.

                    """)
            }
        }
    }

    func testStepsOfMiniVMMItselfAreShownApart() throws {
        guard try works("step") else { throw XCTSkip("single-stepping does not work on this bed") }
        let stepped = try RecordedRun(["--guest", "storm", "--argument", "10", "--cpuid-trap", "step"])
        XCTAssertEqual(stepped.exits, ["io_out": 10, "hlt": 1])
        XCTAssertGreaterThan(try XCTUnwrap(stepped.record["total"]?["internal_exits"]?.integer), 0)
        let table = try CommandLineRun(["run", "--guest", "storm", "--argument", "10", "--cpuid-trap", "step"])
        XCTAssertTrue(table.errors.contains("\n(own steps)"), table.errors)
    }

    func testAutoPicksTheBestThatWorks() throws {
        let recorded = try RecordedRun(["--guest", "counters", "--cpuid-trap", "auto"])
        recorded.run.assertStatus(0)
        XCTAssertEqual(recorded.record["cpuid_trap"]?.string, try Self.mechanisms.first(where: works))
        let without = try RecordedRun(["--guest", "hello"])
        XCTAssertEqual(without.record["cpuid_trap"]?.string, "none")
    }

    func testWithoutATrapTheLeavesAreZeros() throws {
        let recorded = try RecordedRun(["--guest", "counters", "--cpuid-trap", "none"])
        XCTAssertEqual(recorded.record["cpuid_trap"]?.string, "none")
        XCTAssertNil(recorded.exits["cpuid"])
        if recorded.run.outputText.contains("MISMATCH") { recorded.run.assertStatus(1) }
        let before = recorded.run.outputText.split(separator: "\n").first { $0.hasPrefix("nothing") }
        let fields = try XCTUnwrap(before).split(separator: " ")
        XCTAssertEqual(fields.dropFirst().prefix(3), ["0", "0", "0"])
    }

    func testNamedSites() throws {
        let sites = try sites(of: "counters")
        XCTAssertEqual(sites.count, 1)
        let site = try XCTUnwrap(sites.first)
        for trap in try ["debug", "patch"].filter(works) {
            let arguments = ["--guest", "counters", "--cpuid-trap", trap, "--cpuid-site", site]
            let recorded = try RecordedRun(arguments)
            recorded.run.assertStatus(0)
            XCTAssertEqual(recorded.exits["cpuid"], 21)
            // Decimal, and twice the same.
            let decimal = try XCTUnwrap(UInt64(site.dropFirst(2), radix: 16))
            let again = try RecordedRun(arguments + ["--cpuid-site", "\(decimal)"])
            XCTAssertEqual(again.exits["cpuid"], 21)
        }
    }

    func testNamedSitesTakeThePlaceOfTheScan() throws {
        // Only the second CPUID is a site: the first and third answer from the static table.
        let image = try makeFolder().file("three.bin", [UInt8](repeating: [0x0f, 0xa2], count: 3) + [0xf4])
        let recorded = try RecordedRun([image, "--cpuid-site", "0x7c02"])
        recorded.run.assertStatus(0)
        XCTAssertEqual(recorded.exits, ["cpuid": 1, "hlt": 1])
        let scanned = try RecordedRun([image])
        XCTAssertEqual(scanned.exits, ["cpuid": 3, "hlt": 1])
    }

    func testASiteWithoutCPUIDIsRefused() throws {
        try TestBed.skipWhereEmulated()
        for trap in try ["debug", "patch"].filter(works) {
            for address in ["0x7c00", "0xa0000", "0xffffffffffffffff"] {
                let run = try CommandLineRun(
                    ["run", "--guest", "hello", "--cpuid-trap", trap, "--cpuid-site", address])
                run.assertStatus(64)
                XCTAssertEqual(run.output, [])
                XCTAssertTrue(run.errors.contains("The bytes at CPUID site \(address) are not 0F A2."), run.errors)
            }
        }
    }

    func testMoreSitesThanDebugRegisters() throws {
        let image = try makeFolder().file("five.bin", TinyGuest.fiveCPUIDs)
        let recorded = try RecordedRun([image])
        recorded.run.assertStatus(0)
        XCTAssertEqual(recorded.exits, ["cpuid": 5, "hlt": 1])
        XCTAssertEqual(recorded.record["cpuid_trap"]?.string, "patch")
        guard try works("debug") else { return }
        let run = try CommandLineRun(["run", image, "--cpuid-trap", "debug"])
        run.assertStatus(64)
        XCTAssertTrue(run.errors.contains("The image has 5 places where CPUID may stand"), run.errors)
    }
}
