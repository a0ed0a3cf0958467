@testable import Host
@testable import KVM
@testable import MiniVMM
@testable import TestSupport
import XCTest

final class DoctorCommandTests: XCTestCase {
    func testUsableHost() throws {
        _ = try TestKVM.shared()
        let run = try CommandLineRun(["doctor"])
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "")
        let lines = run.outputText.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        XCTAssertEqual(lines.first, "device     /dev/kvm, opens, API version 12")
        for (label, line) in zip(["modules", "kernel", "processor", "TSC"], lines.dropFirst()) {
            XCTAssertTrue(line.hasPrefix(label + " "), line)
            XCTAssertGreaterThan(line.split(separator: " ").count, 1, line)
        }
        XCTAssertTrue(run.outputText.contains(" invariant\n") || run.outputText.contains(" not invariant\n"))
        for capability in Capability.all {
            let line = try XCTUnwrap(lines.first { $0.hasPrefix("  \(capability.name) ") })
            XCTAssertTrue(line.hasSuffix("  " + capability.use), line)
        }
        let support = try TestKVM.shared().trapSupport()
        for (trap, works) in [("debug", support.debug), ("patch", support.patch), ("step ", support.step)] {
            XCTAssertTrue(lines.contains("  \(trap)  \(works ? "works" : "does not work")"), trap)
        }
        XCTAssertTrue(lines.contains("MiniVMM runs guests here."))
    }

    func testUsableHostAsJSON() throws {
        let kvm = try TestKVM.shared()
        let run = try CommandLineRun(["doctor", "--json"])
        run.assertStatus(0)
        XCTAssertEqual(run.errors, "")
        let record = try JSONValue(run.output)
        XCTAssertEqual(record["usable"], .bool(true))
        XCTAssertEqual(record["api_version"], .integer(12))
        XCTAssertEqual(record["problems"], .array([]))
        XCTAssertEqual(record["kernel"]?.string, HostFacts.kernelRelease)
        for capability in Capability.all {
            XCTAssertEqual(record["capabilities"]?[capability.name]?.integer, Int64(kvm.value(of: capability)))
        }
        let traps = try kvm.trapSupport()
        XCTAssertEqual(
            record["cpuid_traps"],
            .object([
                "debug": .bool(traps.debug), "patch": .bool(traps.patch), "step": .bool(traps.step),
                "fault": .bool(try kvm.supportsFaultTrap()),
            ]))
    }

    func testLinesFitATerminal() throws {
        for line in try CommandLineRun(["doctor"]).outputText.split(separator: "\n") {
            XCTAssertLessThanOrEqual(line.count, 80, "\(line)")
        }
    }

    func testProcessWithoutCapabilitiesIsToldWhichItLacks() throws {
        _ = try TestKVM.shared()
        _ = try Nobody.prefix()
        // Still the user whose device it is, with none of root's rights.
        let run = try CommandLineRun(["doctor"], under: ["setpriv", "--bounding-set=-all", "--inh-caps=-all"])
        run.assertStatus(0)
        try XCTSkipIf(run.outputText.contains("/sys/kernel/btf"), "this kernel does not describe its types")
        XCTAssertTrue(
            run.outputText.contains(
                """
                  raw      does not work
                           This process may not run programs at KVM's tracepoints
                           (BPF_MAP_CREATE: EPERM): it lacks CAP_BPF and CAP_PERFMON.

                """), run.outputText)
        XCTAssertTrue(
            run.outputText.contains(
                """

                Exits that KVM settles cannot be counted by reason here.
                Run `sudo setcap cap_bpf,cap_perfmon+ep "$(command -v minivmm)"` once, or run as
                root; `--exits user` needs nothing.

                """), run.outputText)
    }

    func testHostWithoutKVM() throws {
        let text = try CommandLineRun(["doctor", "--kvm-device", "/nonexistent/kvm"])
        text.assertStatus(69)
        XCTAssertEqual(text.errors, "")
        XCTAssertTrue(text.outputText.hasPrefix("device     /nonexistent/kvm, not usable\n"), text.outputText)
        XCTAssertTrue(text.outputText.contains("/nonexistent/kvm does not exist (ENOENT).\n"), text.outputText)
        XCTAssertTrue(text.outputText.contains("modprobe kvm-intel"), text.outputText)
        XCTAssertFalse(text.outputText.contains("capabilities"), text.outputText)

        let json = try CommandLineRun(["doctor", "--json", "--kvm-device", "/nonexistent/kvm"])
        json.assertStatus(69)
        let record = try JSONValue(json.output)
        XCTAssertEqual(record["usable"], .bool(false))
        XCTAssertEqual(record["problems"]?.elements.count, 1)
        for key in ["api_version", "tsc_khz", "capabilities", "cpuid_traps", "tracepoints"] {
            XCTAssertEqual(record[key], .null, key)
        }
    }

    func testDeviceThatIsNotKVM() throws {
        let run = try CommandLineRun(["doctor", "--kvm-device", "/dev/null"])
        run.assertStatus(69)
        XCTAssertTrue(run.outputText.contains("/dev/null is not a KVM device"), run.outputText)
    }
}
