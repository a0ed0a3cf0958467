@testable import Boot
@testable import Counters
@testable import KVM
@testable import TestSupport
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// Linux guests on a KVM that cannot boot them: an error at once, and not a guest that spins.
final class LinuxSupportErrorTests: KVMTestCase {
    override func setUpWithError() throws {
        guard try TestKVM.shared().linuxSupport() == .emulatesRingZero else {
            throw XCTSkip("Linux boots on this bed")
        }
    }

    /// A kernel that turns in a circle: JMP to itself, at its entry.
    private func spinningKernel() throws -> String {
        var kernel = SampleELF()
        kernel.segments[0].bytes.replaceSubrange(0x40..<0x42, with: [0xeb, 0xfe])
        return try makeFolder().file("vmlinux", kernel.bytes)
    }

    /// What the command says, and nothing else.
    private static let words =
        "minivmm: Linux guests cannot boot here, because this KVM emulates ring 0 instead of letting the processor run "
        + "it, and its emulator lacks instructions that Linux needs, such as CMPXCHG16B.\nUse a host with kvm_intel or "
        + "kvm_amd; flat guests run here as well, and --force tries Linux all the same.\n"

    func testRunEndsAtOnce() throws {
        let run = try CommandLineRun(["run", try spinningKernel(), "--timeout", "60"])
        run.assertStatus(69)
        XCTAssertEqual(run.errors, Self.words)
    }

    func testExecEndsAtOnce() throws {
        let run = try CommandLineRun(["exec", "--kernel", try spinningKernel(), "--timeout", "60", "--", "/bin/true"])
        run.assertStatus(69)
        XCTAssertEqual(run.errors, Self.words)
    }

    func testForceTries() throws {
        for command in [["run", try spinningKernel()], ["exec", "--kernel", try spinningKernel()]] {
            let program = command[0] == "exec" ? ["--", "/bin/true"] : []
            let run = try CommandLineRun(command + ["--force", "--stats", "none", "--timeout", "2"] + program)
            run.assertStatus(124, command[0])
            XCTAssertEqual(
                run.errors,
                "minivmm: \(LinuxSupport.emulatesRingZero.verdict)\nIt is tried all the same.\n"
                    + "minivmm: the timeout was reached.\n")
        }
    }

    func testTheLibraryThrows() throws {
        let kernel = try GuestLoaders.guest(ImageFile(reading: spinningKernel()))
        XCTAssertThrowsError(try Machine(kvm: TestKVM.shared(), guest: kernel)) { error in
            XCTAssertEqual(error as? LinuxSupportError, .cannotBoot(.emulatesRingZero))
        }
        var options = MachineOptions()
        options.triesUnsupportedGuests = true
        XCTAssertNoThrow(try Machine(kvm: TestKVM.shared(), guest: kernel, options: options))
    }
}
