import Glibc
@testable import TestSupport
import XCTest

/// Whatever limit the process was started with, it ends with a sentence and a documented status, never by a signal.
final class LimitTests: KVMTestCase {
    /// - Returns: The status.
    private func run(limit: String, _ arguments: [String]) throws -> CommandLineRun {
        // What the shell itself needs of descriptors is there before the limit.
        try CommandLineRun(
            command: ["/bin/sh", "-c", "ulimit \(limit); exec \"$0\" \"$@\"", MiniVMMExecutable.path()] + arguments)
    }

    func testASweepOfLimits() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let arguments = [
            "run", "--guest", "hello", "--stats", "none", "--trace", folder.path("t.json"), "--report",
            folder.path("r.html"), "--trace-events", "1000000",
        ]
        let isExhaustive = TestExtent.isExhaustive
        let limits =
            isExhaustive
            ? stride(from: 60_000, through: 500_000, by: 20_000).map { "-v \($0)" } + ["-v 1500000"]
                + (4...20).map { "-n \($0)" } + [0, 1, 2, 4, 8, 64].map { "-f \($0)" }
                + [32, 64, 128, 512, 4096].map { "-s \($0)" }
            : ["-v 60000", "-v 170000", "-v 1500000", "-n 4", "-n 12", "-f 0", "-f 8", "-s 32"]
        var statuses: [Int32: Int] = [:]
        for limit in limits {
            let run = try run(limit: limit, arguments)
            guard case .exited(let status) = run.end else {
                XCTFail("\(limit): \(run.end) \(run.errors)")
                continue
            }
            XCTAssertTrue([0, 71, 74].contains(status), "\(limit): \(status) \(run.errors)")
            if status != 0 { XCTAssertTrue(run.errors.hasPrefix("minivmm: "), "\(limit): \(run.errors)") }
            statuses[status, default: 0] += 1
        }
        // Each was met.
        XCTAssertEqual(Set(statuses.keys), [0, 71, 74])
    }

    /// Threads count as processes, those that KVM makes for a virtual machine included; but not for root, who may have as
    /// many as there can be, and who alone can give another user a device.
    func testASweepOfProcesses() throws {
        let nobody = try Nobody.prefix()
        let folder = try makeFolder()
        XCTAssertEqual(chmod(folder.path, 0o755), 0)
        let device = folder.path("kvm")
        // 10, 232: the numbers of /dev/kvm. Source: Linux, Documentation/admin-guide/devices.txt.
        guard mknod(device, S_IFCHR | 0o666, dev_t(10 << 8 | 232)) == 0, chmod(device, 0o666) == 0 else {
            throw XCTSkip("no device can be made here: \(errno)")
        }
        let run = { (limit: Int) in
            try CommandLineRun(
                ["run", "--guest", "hello", "--stats", "none", "--cpus", "4", "--kvm-device", device],
                under: nobody + ["prlimit", "--nproc=\(limit)"])
        }
        guard try run(64).end == .exited(0) else {
            throw XCTSkip("that user may not use a device in a temporary folder")
        }
        var statuses: [Int32: Int] = [:]
        for limit in TestExtent.isExhaustive ? Array(1...12) : [1, 4, 7, 12] {
            let run = try run(limit)
            guard case .exited(let status) = run.end, [0, 71].contains(status) else {
                XCTFail("\(limit): \(run.end) \(run.errors)")
                continue
            }
            if status == 71 {
                XCTAssertTrue(run.errors.hasPrefix("minivmm: The system refused what "), "\(limit): \(run.errors)")
            }
            statuses[status, default: 0] += 1
        }
        XCTAssertEqual(Set(statuses.keys), [0, 71])
    }

    func testMoreTraceThanThereIsRoomFor() throws {
        let run = try run(
            limit: "-v 1500000",
            ["run", "--guest", "hello", "--trace", "/dev/null", "--trace-events", "67108864"])
        run.assertStatus(71)
        XCTAssertTrue(run.errors.contains("ENOMEM"), run.errors)
    }
}
