@testable import Boot
import CKVM
import Foundation
@testable import Host
@testable import KVM
@testable import Memory
@testable import TestSupport
import XCTest

@testable import MiniVMM
@testable import minivmm_cli

/// A system that refuses memory, descriptors or threads: every step of making a machine, faked where the system calls
/// are. Nothing may stay open.
final class ResourceErrorTests: KVMTestCase {
    /// Makes a machine with some system calls changed, and checks that it fails without leaving anything open.
    private func failure(_ change: (inout KVMSystemCalls) -> Void) throws -> (any Error)? {
        // Once with all in order, so that what a process opens for good is open.
        _ = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: [0xf4]))
        let before = try OpenDescriptors.all()
        let runPages = try Self.runPages()
        var failure: (any Error)?
        var calls = KVMSystemCalls()
        change(&calls)
        do {
            let kvm = try KVM(path: KVM.defaultDevicePath, systemCalls: calls)
            _ = try Machine(kvm: kvm, guest: FlatGuest(image: [0xf4]))
        } catch {
            failure = error
        }
        XCTAssertEqual(try OpenDescriptors.all(), before)
        XCTAssertEqual(try Self.runPages(), runPages)
        return failure
    }

    /// The number of run pages that are mapped.
    private static func runPages() throws -> Int {
        let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        return maps.split(separator: "\n").count { $0.contains("kvm-vcpu") }
    }

    private func check(_ error: (any Error)?, _ name: String, _ words: String, line: UInt = #line) throws {
        let error = try XCTUnwrap(error as? any CommandError, line: line)
        XCTAssertEqual(error.explanation, "The system refused what \(name) needs (\(words)).", line: line)
        XCTAssertEqual(
            error.remedy,
            "Ask for less memory, fewer vCPUs or fewer trace events, or raise the limits that `ulimit -a` shows.",
            line: line)
        XCTAssertEqual(error.exitStatus.rawValue, 71, line: line)
    }

    func testNoFurtherMachine() throws {
        try check(
            failure { $0.createVM = { _ in 0 &- ENOMEM } }, "KVM_CREATE_VM", "ENOMEM: Cannot allocate memory")
        try check(failure { $0.createVM = { _ in 0 &- EMFILE } }, "KVM_CREATE_VM", "EMFILE: Too many open files")
    }

    func testNoFurtherVCPU() throws {
        try check(
            failure { $0.createVCPU = { _, _ in 0 &- ENOMEM } }, "KVM_CREATE_VCPU", "ENOMEM: Cannot allocate memory")
    }

    func testNoRunPage() throws {
        try check(
            failure { $0.mapShared = { _, _, _ in 0 &- ENOMEM } }, "mmap of the run page of vCPU 0",
            "ENOMEM: Cannot allocate memory")
    }

    func testFailureThatIsNoRefusal() throws {
        let error = try XCTUnwrap(failure { $0.createVCPU = { _, _ in 0 &- EEXIST } } as? any CommandError)
        XCTAssertEqual(error.explanation, "KVM_CREATE_VCPU failed (EEXIST: File exists).")
        XCTAssertTrue(error.remedy.contains("`minivmm doctor`"), error.remedy)
        XCTAssertEqual(error.exitStatus.rawValue, 70)
    }

    func testSignalDuringCreationIsNoFailure() throws {
        let tries = Locked(0)
        XCTAssertNil(
            try failure {
                $0.createVM = { kvm in
                    let isFirst = tries.withLock { tries in
                        tries += 1
                        return tries == 1
                    }
                    return isFirst ? 0 &- EINTR : ckvm_create_vm(kvm, 0)
                }
            })
        XCTAssertEqual(tries.withLock { $0 }, 2)
    }

    func testNoGuestMemory() throws {
        var calls = MemorySystemCalls()
        calls.mapAnonymous = { _, _ in 0 &- ENOMEM }
        let layout = [(start: GuestPhysicalAddress(0), size: UInt64(3 << 30))]
        XCTAssertThrowsError(try GuestMemory(layout: layout, systemCalls: calls)) { error in
            let error = error as? GuestMemoryError
            XCTAssertEqual(error?.explanation, "The system refused 3072 MiB of guest memory (ENOMEM).")
            XCTAssertEqual(
                error?.remedy,
                "Give the guest less memory with --memory, or raise the limit that `ulimit -v` shows.")
            XCTAssertEqual(error?.exitStatus.rawValue, 71)
        }
    }

    // MARK: For real

    func testNoGuestMemoryForReal() throws {
        // Under a limit of 2 GB of address space.
        let run = try CommandLineRun(
            ["run", "--guest", "hello", "--memory", "3G"],
            under: ["sh", "-c", "ulimit -v 2000000 && exec \"$0\" \"$@\""])
        run.assertStatus(71)
        XCTAssertEqual(run.output, [])
        XCTAssertEqual(
            run.errors,
            """
            minivmm: The system refused 3071 MiB of guest memory (ENOMEM).
            Give the guest less memory with --memory, or raise the limit that `ulimit -v` shows.

            """)
    }

    func testNoTraceForReal() throws {
        let run = try CommandLineRun(
            ["run", "--guest", "hello", "--trace", makeFolder().path("trace.json"), "--trace-events", "67108864"],
            under: ["sh", "-c", "ulimit -v 1500000 && exec \"$0\" \"$@\""])
        run.assertStatus(71)
        XCTAssertEqual(run.output, [])
        XCTAssertTrue(run.errors.hasPrefix("minivmm: The system refused what a run needs (ENOMEM"), run.errors)
        XCTAssertTrue(run.errors.contains("fewer trace events"), run.errors)
    }

    func testNoThreadForReal() throws {
        // One process of that user, itself, and so no thread beside the first.
        let nobody = try Nobody.prefix() + ["prlimit", "--nproc=1"]
        guard try CommandLineRun(command: nobody + ["true"]).end == .exited(0) else {
            throw XCTSkip("prlimit (of util-linux) is not here, or that user has other processes")
        }
        let run = try CommandLineRun(["run", "--guest", "hello"], under: nobody)
        run.assertStatus(71)
        XCTAssertEqual(run.output, [])
        let words = "The system refused what a thread for signals needs (EAGAIN: Resource temporarily unavailable)."
        XCTAssertTrue(run.errors.hasPrefix("minivmm: \(words)\n"), run.errors)
    }

    func testNoDescriptorForReal() throws {
        // From the first number at which the program starts at all, up to the first at which the guest runs.
        var refusals: [String] = []
        for limit in 3...32 {
            let run = try CommandLineRun(
                ["run", "--guest", "hello", "--stats", "none"],
                under: ["sh", "-c", "ulimit -n \(limit) && exec \"$0\" \"$@\""])
            if run.end == .exited(0) { break }
            guard run.end == .exited(71) else { continue }
            XCTAssertEqual(run.output, [])
            refusals.append(run.errors.prefix { $0 != "(" }.trimmingCharacters(in: .whitespaces))
        }
        for name in ["KVM_CREATE_VM", "KVM_CREATE_VCPU"] {
            XCTAssertTrue(refusals.contains("minivmm: The system refused what \(name) needs"), "\(refusals)")
        }
    }
}
