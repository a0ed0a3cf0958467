import Foundation
@testable import Host
@testable import TestSupport
import XCTest

/// What makes exits cheaper or dearer on a host, out of files of /proc and /sys.
final class HostConditionsTests: XCTestCase {
    private func write(_ text: String, _ path: String, in folder: TemporaryFolder) throws {
        let file = URL(fileURLWithPath: folder.path(path))
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func testFiles() throws {
        let folder = try makeFolder()
        for (path, text) in [
            ("proc/cpuinfo", "processor\t: 0\nmicrocode\t: 0x2b000603\n\nprocessor\t: 1\nmicrocode\t: 0x1\n"),
            (
                "proc/cmdline",
                "BOOT_IMAGE=/vmlinuz root=UUID=1234-5678 ro quiet mitigations=off kvm.halt_poll_ns=0 -- -s\n"
            ),
            ("sys/devices/system/cpu/vulnerabilities/mds", "Not affected\n"),
            ("sys/devices/system/cpu/vulnerabilities/retbleed", "Mitigation: IBRS\n"),
            ("sys/module/kvm/parameters/halt_poll_ns", "200000\n"), ("sys/module/kvm_intel/parameters/ept", "Y\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"), ("sys/devices/system/cpu/smt/active", "1\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
        ] {
            try write(text, path, in: folder)
        }
        let conditions = HostConditions(root: folder.path + "/")
        XCTAssertEqual(conditions.microcode, "0x2b000603")
        XCTAssertEqual(conditions.commandLine, "BOOT_IMAGE=… root=… ro quiet mitigations=off kvm.halt_poll_ns=0")
        XCTAssertEqual(
            conditions.mitigations,
            [.init(name: "mds", value: "Not affected"), .init(name: "retbleed", value: "Mitigation: IBRS")])
        XCTAssertEqual(
            conditions.parameters,
            [.init(name: "kvm.halt_poll_ns", value: "200000"), .init(name: "kvm_intel.ept", value: "Y")])
        XCTAssertEqual(conditions.governors, ["performance", "powersave"])
        XCTAssertEqual(conditions.boost, false)
        XCTAssertEqual(conditions.simultaneousMultithreading, true)
        XCTAssertEqual(conditions.transparentHugePages, "madvise")
    }

    func testAHostThatTellsNothing() throws {
        let conditions = HostConditions(root: try makeFolder().path + "/")
        var none = HostConditions()
        none.hypervisor = conditions.hypervisor
        XCTAssertEqual(conditions, none)
    }

    /// This machine's: whatever it tells, its name is not in it.
    func testThisHost() throws {
        let conditions = HostConditions(root: "/")
        let name = ProcessInfo.processInfo.hostName
        if name.count > 3, name != "localhost" { XCTAssertFalse("\(conditions)".contains(name)) }
    }

    func testSchedulingOfThisThread() throws {
        guard let file = ThreadSchedulingFile() else { throw XCTSkip("this kernel keeps no schedstat") }
        let first = try XCTUnwrap(file.read())
        var sum: UInt64 = 0
        while try XCTUnwrap(file.read()).runNanoseconds == first.runNanoseconds { sum &+= 1 }
        XCTAssertGreaterThan(try XCTUnwrap(file.read()).runNanoseconds, first.runNanoseconds)
        XCTAssertNotNil(StolenTimeFile()?.nanoseconds)
    }
}
