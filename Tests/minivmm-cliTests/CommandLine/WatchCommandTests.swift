import Foundation
@testable import Host
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM
@testable import Watch
@testable import minivmm_cli

/// What `minivmm watch` says when it cannot watch. What it sees is in WatchMachineTests.
final class WatchCommandTests: XCTestCase {
    func testWrongArguments() throws {
        try TestBed.skipWhereEmulated()
        for arguments in [
            [], ["x"], ["0"], ["-1"], ["1", "--duration", "0"], ["1", "--interval", "0.001"],
            ["1", "--duration", "2e9"],
        ] {
            try CommandLineRun(["watch"] + arguments).assertStatus(64, "\(arguments)")
        }
    }

    func testNoSuchProcess() throws {
        let run = try CommandLineRun(["watch", "4194305"])
        run.assertStatus(66)
        XCTAssertEqual(
            run.errors,
            "minivmm: There is no process 4194305.\nSee `pgrep -a qemu`, or `ps`, for the number.\n")
    }

    func testProcessWithoutVCPUs() throws {
        let run = try CommandLineRun(["watch", "\(getppid())"])
        run.assertStatus(65)
        XCTAssertTrue(run.errors.hasPrefix("minivmm: Process \(getppid()) ("), run.errors)
        XCTAssertTrue(run.errors.contains(") has no vCPUs (no KVM virtual machine).\n"), run.errors)
    }

    func testProcessOfAnotherUser() throws {
        let run = try CommandLineRun(["watch", "\(getpid())"], under: Nobody.prefix())
        run.assertStatus(66)
        XCTAssertEqual(
            run.errors,
            """
            minivmm: This user may not look at what process \(getpid()) has open (/proc/\(getpid())/fd: EACCES).
            Run as root, or as the process's user, or once `sudo setcap \
            cap_sys_ptrace,cap_dac_read_search,cap_bpf,cap_perfmon+ep "$(command -v minivmm)"`.

            """)
    }

    /// The names in /proc/PID/fd take one capability, what they lead to another: a process whose files are hidden is none
    /// without vCPUs.
    func testProcessOfAnotherUserWhoseFilesHaveNames() throws {
        let prefix = try Nobody.prefix()
        let capabilities = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        guard try CommandLineRun(command: prefix + capabilities + ["true"]).end == .exited(0) else {
            throw XCTSkip("this user may not pass the capability on")
        }
        let run = try CommandLineRun(["watch", "\(getpid())"], under: prefix + capabilities)
        run.assertStatus(66)
        XCTAssertTrue(run.errors.contains("(/proc/\(getpid())/fd: EACCES).\n"), run.errors)
    }

    /// A spinning guest of another `minivmm`: watched, or refused for a reason.
    func testGuestOfAnotherProcess() throws {
        let kvm = try TestKVM.shared()
        var request = try SpawnRequest([MiniVMMExecutable.path(), "run", "--guest", "spin", "--stats", "none"])
        let child = try ChildProcess(&request)
        while !hasVCPUs(child.id) { sched_yield() }
        let run = try CommandLineRun(["watch", "\(child.id)", "--duration", "0.1"])
        do {
            _ = try kvm.tracepointSupport()
            run.assertStatus(0)
            XCTAssertTrue(run.errors.contains("\nexit "), run.errors)
            XCTAssertTrue(run.errors.hasSuffix("The watch ended because its time was up.\n"), run.errors)
        } catch let error as TracepointError {
            run.assertStatus(69)
            XCTAssertEqual(run.errors, "minivmm: \(error.explanation)\n\(WatchError.tracepoints(error).remedy)\n")
        }
        XCTAssertEqual(run.output, [])
    }

    /// Where no machine can be made to try the tracepoints out, the watch goes on without.
    func testWithoutASelfTest() throws {
        _ = try TestKVM.shared()
        do throws(TracepointError) {
            _ = try ExitTracepoints(threadCount: 1, process: getppid())
        } catch {
            throw XCTSkip(error.explanation)
        }
        var request = try SpawnRequest([MiniVMMExecutable.path(), "run", "--guest", "spin", "--stats", "none"])
        let child = try ChildProcess(&request)
        while !hasVCPUs(child.id) { sched_yield() }
        let run = try CommandLineRun(
            ["watch", "\(child.id)", "--duration", "0.1", "--kvm-device", "/nonexistent/kvm", "--stats", "none"])
        run.assertStatus(0)
        XCTAssertEqual(
            run.errors,
            """
            minivmm: /nonexistent/kvm does not exist (ENOENT).
            Whether KVM's tracepoints tell of every exit here was not tried.
            minivmm: watching process \(child.id) (minivmm), 1 vCPU.

            """)
    }

    private func hasVCPUs(_ process: Int32) -> Bool {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? []
        return files.contains { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/\(name)"))?
                .contains("kvm-vcpu") ?? false
        }
    }

    func testEveryErrorHasARemedyAndAStatus() {
        let number = ErrorNumber.accessDenied
        let tracepoints: [TracepointError] = [
            .noTraceFileSystem(number), .noTraceFileSystem(.notImplemented), .noTracepoint("kvm_exit"),
            .unknownRecord(tracepoint: "kvm_exit", field: "isa"), .noTypes, .refused(call: "bpf", number),
            .refused(call: "bpf", .notImplemented), .rejected(program: "kvm_exit", reason: "no"),
            .doesNotCount(expected: 100, seen: 0),
        ]
        let obstacles: [PermissionObstacle] = [
            .capabilities([.bpf]), .capabilities([.systemAdministration]), .userNamespace, .lockdown,
            .perfEventParanoid(3), .systemCallFilter, .unknown,
        ]
        let errors: [(WatchError, Int32)] =
            [
                (.noSuchProcess(1), 66), (.notPermitted(process: 1, number), 66),
                (.noVCPUs(process: 1, name: "init"), 65),
            ] + (tracepoints + obstacles.map { .notPermitted(call: "bpf", number, $0) }).map { (.tracepoints($0), 69) }
        for (error, status) in errors {
            XCTAssertEqual(error.exitStatus.rawValue, status, error.explanation)
            XCTAssertTrue(error.explanation.hasSuffix("."), error.explanation)
            XCTAssertTrue(error.remedy.hasSuffix("."), error.remedy)
            // Options of `run`.
            XCTAssertFalse(error.remedy.contains("--exits"), error.remedy)
        }
    }
}
