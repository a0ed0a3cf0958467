import CKVM
import Glibc
@testable import Boot
@testable import Host
@testable import TestSupport
@testable import Tracepoints
import XCTest

@testable import MiniVMM
@testable import Watch

/// Whom one can watch.
final class WatchedProcessTests: XCTestCase {
    /// What a process that cannot be watched is refused with.
    private func error(_ number: Int32) -> WatchError? {
        do throws(WatchError) {
            _ = try WatchedProcess(number)
            return nil
        } catch {
            return error
        }
    }

    func testNoSuchProcess() {
        // More than the kernel ever gives out: its limit is 2^22.
        XCTAssertEqual(error(1 << 22 + 1), .noSuchProcess(1 << 22 + 1))
    }

    func testProcessWithoutVCPUs() throws {
        var request = try SpawnRequest(["sleep", "100"])
        let child = try ChildProcess(&request)
        // It is called what this process is until it executes its program.
        while let name = ProcessFile.status("Name", of: child.id), name != "sleep" { sched_yield() }
        XCTAssertEqual(error(child.id), .noVCPUs(process: child.id, name: "sleep"))
    }

    func testProcessWithVCPUs() throws {
        _ = try TestKVM.shared()
        var options = MachineOptions()
        options.cpuCount = 2
        let machine = try Machine(kvm: TestKVM.shared(), guest: FlatGuest(image: TinyGuest.letter), options: options)
        let process = try WatchedProcess(getpid())
        XCTAssertEqual(process.number, getpid())
        XCTAssertEqual(process.vcpus, [0, 1])
        XCTAssertGreaterThanOrEqual(process.machineCount, 1)
        withExtendedLifetime(machine) {}
    }

    func testThreadStandsForItsProcess() throws {
        let found = Locked<Int32?>(nil)
        let thread = try PosixThread(name: "thread") {
            let number = ckvm_thread_id()
            found.withLock { $0 = number == getpid() ? nil : ProcessFile.process(ofThread: number) }
        }
        thread.join()
        XCTAssertEqual(found.withLock { $0 }, getpid())
    }

    func testNamesOfOpenFiles() {
        func file(_ target: String) -> OpenFile { OpenFile(descriptor: 3, target: target) }
        XCTAssertEqual(file("anon_inode:kvm-vcpu:0").vcpu, 0)
        XCTAssertEqual(file("anon_inode:kvm-vcpu:255").vcpu, 255)
        for target in ["anon_inode:kvm-vcpu:", "anon_inode:kvm-vcpu:-1", "anon_inode:kvm-vcpu:70000", "/kvm-vcpu:1"] {
            XCTAssertNil(file(target).vcpu, target)
        }
        XCTAssertTrue(file("anon_inode:kvm-vm").isMachine)
        XCTAssertFalse(file("anon_inode:kvm-vcpu:0").isMachine)
    }
}
