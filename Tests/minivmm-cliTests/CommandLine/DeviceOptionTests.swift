import ArgumentParser
@testable import MiniVMM
@testable import TestSupport
import XCTest

@testable import minivmm_cli

/// The options of virtio devices.
final class DeviceOptionTests: KVMTestCase {
    func testDisks() {
        let disk = DeviceConfiguration.DiskFile("a.img")
        XCTAssertEqual([disk.path, "\(disk.isReadOnly)"], ["a.img", "false"])
        let readOnly = DeviceConfiguration.DiskFile("a,b.img,ro")
        XCTAssertEqual([readOnly.path, "\(readOnly.isReadOnly)"], ["a,b.img", "true"])
    }

    func testOptions() throws {
        let options = try DeviceOptions.parse([
            "--disk", "a", "--disk", "b,ro", "--rng", "--notify", "exit",
        ])
        var expected = DeviceConfiguration()
        XCTAssertEqual(try DeviceOptions.parse([]).configuration, expected)
        expected.disks = [DeviceConfiguration.DiskFile("a"), DeviceConfiguration.DiskFile("b,ro")]
        expected.hasEntropy = true
        expected.notifications = .exit
        XCTAssertEqual(options.configuration, expected)
        XCTAssertThrowsError(try DeviceOptions.parse(["--disk", ",ro"]))
        XCTAssertEqual(try ConsoleOptions.parse(["--console", "virtio"]).console, .virtio)
        XCTAssertEqual(expected.drivers, ["virtio_mmio", "virtio_blk", "virtio-rng"])
        XCTAssertEqual(DeviceConfiguration().drivers, [])
    }

    func testErrors() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let small = try folder.file("small", [1])
        let disk = try folder.file("disk", [UInt8](repeating: 0, count: 512))
        for (arguments, status, words): ([String], Int32, String) in [
            (["--disk", folder.path("none")], 66, "none cannot be opened (ENOENT"),
            (["--disk", small], 65, "small cannot be a disk: it has less than 512 bytes."),
            (["--disk", "/dev/null"], 65, "neither a regular file nor a block device"),
            (["--disk", disk, "--disk", disk], 66, "is in use"),
            (["--disk", disk], 64, "does not read ACPI tables"),
            (["--rng"], 64, "does not read ACPI tables"),
            (["--console", "virtio"], 64, "does not read ACPI tables"),
            (["--disk", disk, "--report", disk], 64, "disk"),
        ] {
            let run = try CommandLineRun(["run", "--guest", "hello"] + arguments)
            run.assertStatus(status, "\(arguments)")
            XCTAssertTrue(run.errors.contains(words), run.errors)
        }
        XCTAssertEqual(try folder.bytes("disk"), [UInt8](repeating: 0, count: 512))
    }
}
