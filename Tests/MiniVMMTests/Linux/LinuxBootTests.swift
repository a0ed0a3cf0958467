@testable import Boot
@testable import Counters
@testable import Host
@testable import KVM
@testable import TestSupport
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// Stock Linux kernels boot, work, and end in every way that they know. One boot checks many things: it takes seconds.
final class LinuxBootTests: XCTestCase {
    func testBzImageBootsAndPowersOff() throws {
        let run = try LinuxBoot(
            """
            echo clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
            echo memory=$(sed -n 's/^MemTotal: *//p' /proc/meminfo)
            echo log=$(dmesg | grep -c 'ACPI')
            dmesg | grep -iE 'ACPI.*(error|warning|exception|invalid)|AE_[A-Z]|firmware bug' >/tmp/complaints
            echo complaints=$(cat /tmp/complaints)
            echo serial=$(dmesg | grep -c 'ttyS0.*is a 16550A')
            echo types=$(dmesg | grep -c 'MTRRs disabled')
            echo name=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo)
            poweroff -f
            """
        ).run()
        XCTAssertEqual(run.ending, "powered_off", run.console)
        XCTAssertEqual(run.outcome.ending.exitStatus, .success)
        XCTAssertEqual(run.interruptTable, FaultTrap.finalTable)
        XCTAssertEqual(run["clock"], "kvm-clock", run.console)
        XCTAssertTrue((64 << 10...128 << 10).contains(try run.kibibytes("memory")), run.console)
        XCTAssertGreaterThan(try run.number("log"), 5, "the log is there to be searched")
        XCTAssertEqual(run["complaints"], "")
        XCTAssertEqual(run["serial"], "1")
        XCTAssertEqual(run["types"], "0", "firmware has set the memory types")
        XCTAssertEqual(run["name"], HostFacts.processorName)
        XCTAssertFalse(run.console.contains("Linux version"), "quiet")
    }

    func testExtractedKernelBootsIn5GiBAndReboots() throws {
        _ = try LinuxBed.kvm()
        var boot = LinuxBoot(
            """
            echo memory=$(sed -n 's/^MemTotal: *//p' /proc/meminfo)
            reboot -f
            """)
        boot.kernel = try ELFKernel(KernelExtraction.vmlinux(in: LinuxBed.kernel()))
        boot.memorySize = 5 << 30
        boot.arguments = ""
        let run = try boot.run()
        XCTAssertEqual(run.ending, "reset", run.console)
        XCTAssertEqual(run.outcome.ending.exitStatus, .success)
        XCTAssertTrue((4 << 20...5 << 20).contains(try run.kibibytes("memory")), run.console)
        for words in ["Linux version", "Hypervisor detected: KVM", "reboot: Restarting system"] {
            XCTAssertTrue(run.console.contains(words), "\(words) in \(run.console)")
        }
    }

    func testInputArrivesUnharmedAndSysRqPowersOff() throws {
        let data = (0..<TestExtent.of(8192, exhaustive: 65536)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var boot = LinuxBoot(
            """
            stty -F /dev/ttyS0 raw -echo
            echo '\(LinuxBoot.prompt)'
            head -c \(data.count) </dev/ttyS0 >/tmp/got
            cmp /tmp/got /expected && echo input=same
            echo o >/proc/sysrq-trigger
            sleep 1000
            """)
        boot.files = ["expected": data]
        boot.input = data
        let run = try boot.run()
        XCTAssertEqual(run["input"], "same", run.console)
        XCTAssertEqual(run.ending, "powered_off", run.console)
    }

    func testAGuestThatHaltsHasEnded() throws {
        let run = try LinuxBoot("halt -f").run()
        XCTAssertEqual(run.ending, "halted", run.console)
        XCTAssertEqual(run.outcome.ending.exitStatus, .success)
    }

    func testEveryWayToRebootIsAReset() throws {
        for way in ["b", "t"] {
            var boot = LinuxBoot("reboot -f")
            boot.arguments = "quiet reboot=\(way)"
            let run = try boot.run()
            XCTAssertEqual(run.ending, "reset", "reboot=\(way): \(run.console)")
        }
    }

    func testPanicBeforeAResetByTripleFaultIsAPanic() throws {
        var boot = LinuxBoot("exit 7")
        boot.arguments = "quiet reboot=t"
        let run = try boot.run()
        XCTAssertEqual(run.ending, "panicked", run.console)
    }

    func testPanicIsToldFromAReboot() throws {
        let run = try LinuxBoot("exit 7").run()
        XCTAssertEqual(run.ending, "panicked", run.console)
        XCTAssertEqual(run.outcome.ending.exitStatus, .guestDied)
        XCTAssertTrue(run.console.contains("Attempted to kill init! exitcode=0x00000700"), run.console)
    }

    func testNoInitrdPanics() throws {
        let run = try LinuxBoot(nil).run()
        XCTAssertEqual(run.ending, "panicked", run.console)
        XCTAssertTrue(run.console.contains("VFS: Unable to mount root fs"), run.console)
    }

    func testTimeoutEndsABoot() throws {
        var boot = LinuxBoot("sleep 1000")
        boot.timeout = .milliseconds(500)
        let run = try boot.run()
        XCTAssertEqual(run.ending, "timeout", run.console)
        XCTAssertEqual(run.outcome.ending.exitStatus, .timeout)
    }
}
