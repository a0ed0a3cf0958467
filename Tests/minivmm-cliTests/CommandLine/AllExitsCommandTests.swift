import Glibc
@testable import TestSupport
@testable import Tracepoints
import XCTest

/// `--exits all` as a user has it: with the two capabilities alone, and without a trace when the process is killed.
final class AllExitsCommandTests: KVMTestCase {
    /// After SIGKILL in the middle of a run no program is left, and the mounts are as they were.
    func testNothingStaysBehindAfterSIGKILL() throws {
        try TestKVM.require(.raw)
        let programs = LoadedPrograms()
        let mounts = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
        let process = try RunningProcess([
            MiniVMMExecutable.path(), "run", "--guest", "spin", "--exits", "all", "--top", "5", "--timeout", "60",
        ])
        try process.waitForOutput("\n")
        // Four that count, and five that tell what exits are about.
        XCTAssertEqual(programs.newCount, 9)
        try process.send(SIGKILL)
        XCTAssertEqual(try process.finish(), .signaled(SIGKILL))
        XCTAssertEqual(programs.remainingCount, 0)
        XCTAssertEqual(try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8), mounts)
    }

    /// A KVM device that every user may open, in a folder of the test.
    private func openDevice() throws -> String {
        let path = try makeFolder().path("kvm")
        var status = stat()
        // Sound: the path is a string, and the structure is the function's to fill.
        guard unsafe stat("/dev/kvm", &status) == 0, unsafe mknod(path, S_IFCHR | 0o666, status.st_rdev) == 0 else {
            throw XCTSkip("a device cannot be made here (\(errno))")
        }
        chmod(path, 0o666)
        let folder = String(path.dropLast("/kvm".count))
        chmod(folder, 0o755)
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw XCTSkip("devices cannot be opened there") }
        close(descriptor)
        return path
    }

    private func run(_ arguments: [String], under prefix: [String] = []) throws -> CommandLineRun {
        try CommandLineRun(["run", "--guest", "hello"] + arguments, under: prefix)
    }

    func testTwoCapabilitiesSuffice() throws {
        try TestKVM.require(.raw)
        let device = try openDevice()
        let capabilities = ["--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon"]
        let prefix = try Nobody.prefix() + capabilities
        for scope in ["all", "auto"] {
            let run = try run(["--kvm-device", device, "--exits", scope], under: prefix)
            run.assertStatus(0)
            XCTAssertTrue(run.errors.contains("\nCheck: KVM's own count is "), run.errors)
        }
    }

    func testWithoutTheCapabilities() throws {
        let device = try openDevice()
        let prefix = try Nobody.prefix()
        let all = try run(["--kvm-device", device, "--exits", "all"], under: prefix)
        all.assertStatus(69)
        let auto = try run(["--kvm-device", device, "--exits", "auto"], under: prefix)
        auto.assertStatus(0)
        XCTAssertTrue(auto.errors.contains("\nCounted: the exits that reach MiniVMM. "), auto.errors)
        XCTAssertTrue(auto.errors.hasSuffix(" See `minivmm doctor`.\n"), auto.errors)
        try run(["--kvm-device", device, "--exits", "user"], under: prefix).assertStatus(0)
        try run(["--kvm-device", device, "--exits", "total"], under: prefix).assertStatus(0)
    }
}
