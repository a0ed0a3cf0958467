import CKVM
@testable import Host
@testable import KVM
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// A /dev/kvm that is not there, not ours, dead, or something else: faked where the system calls are, and real where
/// any host has such a file.
final class KVMDeviceErrorTests: XCTestCase {
    private func error(_ change: (inout KVMSystemCalls) -> Void) -> KVMError? {
        var calls = KVMSystemCalls()
        change(&calls)
        do throws(KVMError) {
            _ = try KVM(path: "/dev/kvm", systemCalls: calls)
            return nil
        } catch {
            return error
        }
    }

    private func openError(_ number: Int32) -> KVMError? { error { $0.open = { _ in 0 &- number } } }

    func testMissing() throws {
        let error = try XCTUnwrap(openError(ENOENT))
        XCTAssertEqual(error, .deviceNotFound(path: "/dev/kvm"))
        XCTAssertEqual(error.explanation, "/dev/kvm does not exist (ENOENT).")
        XCTAssertTrue(error.remedy.contains("`modprobe kvm-intel` or `modprobe kvm-amd`"), error.remedy)
        XCTAssertEqual(error.exitStatus.rawValue, 69)
    }

    func testNotPermitted() throws {
        for (number, name) in [(EACCES, "EACCES"), (EPERM, "EPERM")] {
            let error = try XCTUnwrap(openError(number))
            XCTAssertEqual(error.explanation, "/dev/kvm may not be opened by this user (\(name)).")
            XCTAssertTrue(error.remedy.contains("usermod -aG kvm"), error.remedy)
            XCTAssertEqual(error.exitStatus.rawValue, 69)
        }
    }

    func testPresentButDead() throws {
        for (number, words) in [
            (ENODEV, "ENODEV: No such device"), (EBUSY, "EBUSY: Device or resource busy"),
            (ENXIO, "ENXIO: No such device or address"), (EIO, "EIO: Input/output error"),
        ] {
            let error = try XCTUnwrap(openError(number))
            XCTAssertEqual(error.explanation, "/dev/kvm is there but cannot be opened (\(words)).")
            XCTAssertTrue(error.remedy.contains("`dmesg | grep -i kvm`"), error.remedy)
            XCTAssertEqual(error.exitStatus.rawValue, 69)
        }
    }

    func testNoDescriptorsLeft() throws {
        for (number, words) in [
            (EMFILE, "EMFILE: Too many open files"), (ENFILE, "ENFILE: Too many open files in system"),
            (ENOMEM, "ENOMEM: Cannot allocate memory"),
        ] {
            let error = try XCTUnwrap(openError(number))
            XCTAssertEqual(error.explanation, "The system refused what open of /dev/kvm needs (\(words)).")
            XCTAssertTrue(error.remedy.contains("`ulimit -a`"), error.remedy)
            XCTAssertEqual(error.exitStatus.rawValue, 71)
        }
    }

    func testWrongVersion() throws {
        for version: Int32 in [0, 11, 13] {
            let error = try XCTUnwrap(
                error {
                    $0.open = { _ in ckvm_open("/dev/null", O_RDWR) }
                    $0.getAPIVersion = { _ in version }
                })
            XCTAssertEqual(error.explanation, "KVM's API version is \(version), and MiniVMM needs 12.")
            XCTAssertTrue(error.remedy.contains("since 2.6.22"), error.remedy)
            XCTAssertEqual(error.exitStatus.rawValue, 69)
        }
    }

    func testDescriptorIsClosedWhenTheDeviceIsNoGood() throws {
        let before = try OpenDescriptors.all()
        for result: Int32 in [0 &- ENOTTY, 11] {
            XCTAssertNotNil(
                error {
                    $0.open = { _ in ckvm_open("/dev/null", O_RDWR) }
                    $0.getAPIVersion = { _ in result }
                })
        }
        XCTAssertEqual(try OpenDescriptors.all(), before)
    }

    // MARK: From the command line

    private func check(_ path: String, says words: String, remedy: String, line: UInt = #line) throws {
        let run = try CommandLineRun(["run", "--guest", "hello", "--kvm-device", path])
        run.assertStatus(69, line: line)
        XCTAssertEqual(run.output, [], line: line)
        XCTAssertTrue(run.errors.hasPrefix("minivmm: \(path) \(words)\n"), run.errors, line: line)
        XCTAssertTrue(run.errors.contains(remedy), run.errors, line: line)
    }

    func testMissingForReal() throws {
        try check("/nonexistent/kvm", says: "does not exist (ENOENT).", remedy: "modprobe kvm-intel")
    }

    func testOtherDeviceForReal() throws {
        try check(
            "/dev/null", says: "is not a KVM device: KVM_GET_API_VERSION failed (ENOTTY).",
            remedy: "Give --kvm-device the path of a KVM device, usually /dev/kvm.")
    }

    func testFileForReal() throws {
        try check(
            makeFolder().file("kvm", [0]), says: "is not a KVM device: KVM_GET_API_VERSION failed (ENOTTY).",
            remedy: "--kvm-device")
    }

    func testFolderForReal() throws {
        try check(makeFolder().path, says: "is there but cannot be opened (EISDIR: Is a directory).", remedy: "dmesg")
    }

    func testNotPermittedForReal() throws {
        _ = try TestKVM.shared()
        let nobody = try Nobody.prefix()
        guard try CommandLineRun(command: nobody + ["sh", "-c", "! test -w /dev/kvm"]).end == .exited(0) else {
            throw XCTSkip("everybody may open /dev/kvm on this bed")
        }
        let run = try CommandLineRun(["run", "--guest", "hello"], under: nobody)
        run.assertStatus(69)
        XCTAssertEqual(
            run.errors,
            """
            minivmm: /dev/kvm may not be opened by this user (EACCES).
            Join the group that owns /dev/kvm, usually with `sudo usermod -aG kvm $USER`, and log in again.

            """)
        let doctor = try CommandLineRun(["doctor"], under: nobody)
        doctor.assertStatus(69)
        XCTAssertTrue(doctor.outputText.contains("/dev/kvm may not be opened by this user (EACCES)."))
    }
}
