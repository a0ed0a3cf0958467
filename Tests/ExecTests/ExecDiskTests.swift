import Glibc
@testable import TestSupport
import XCTest

/// Disks and random numbers of a program's guest, whose kernel has the drivers as modules.
final class ExecDiskTests: ExecTestCase {
    func testProgramsHaveDisks() throws {
        _ = try GuestModules.virtio()
        let folder = try makeFolder()
        let source = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
        let disk = try folder.file("source", source)
        let target = try folder.file("target", [UInt8](repeating: 0, count: source.count))
        let busybox = try folder.file("busybox", LinuxBed.busybox())
        chmod(busybox, 0o755)
        let script = """
            "$0" dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null
            "$0" cat /sys/block/vda/ro; "$0" dd if=/dev/hwrng bs=16 count=1 2>/dev/null | "$0" wc -c
            """
        let run = try exec([
            "--disk", "\(disk),ro", "--disk", target, "--rng", "--", busybox, "sh", "-c", script, busybox,
        ])
        run.assertStatus(0)
        XCTAssertEqual(run.outputText, "1\n16\n")
        XCTAssertEqual(try folder.bytes("target"), source)
    }
}
