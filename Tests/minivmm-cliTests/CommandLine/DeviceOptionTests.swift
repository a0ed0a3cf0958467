import ArgumentParser
import Exec
import Glibc
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

    func testShares() throws {
        for (text, words): (String, [String]) in [
            ("/a", ["/a", "-", "false"]), ("/a:b", ["/a", "b", "false"]), ("/a:b,ro", ["/a", "b", "true"]),
            (".,ro", [".", "-", "true"]), ("/a:b:/c", ["/a:b", "/c", "false"]),
        ] {
            let share = DeviceConfiguration.Share(text)
            XCTAssertEqual([share.path, share.name ?? "-", "\(share.isReadOnly)"], words)
        }
        let options = try DeviceOptions.parse(["--share", "a:one", "--share", ".,ro"])
        XCTAssertEqual(options.configuration.drivers, ["virtio_mmio", "virtiofs"])
        XCTAssertEqual(options.configuration.shareTags, ["share0", "share1"])
        XCTAssertEqual(
            options.configuration.programShares,
            [
                ExecShare(tag: "share0", source: "a", destination: "one"),
                ExecShare(tag: "share1", source: ".", isReadOnly: true),
            ])
        for words in [[":a"], ["a:"], [",ro"]] {
            XCTAssertThrowsError(try DeviceOptions.parse(["--share"] + words))
        }
        // A guest of `run` mounts by the tag.
        XCTAssertThrowsError(try options.configuration.validateTags())
        XCTAssertThrowsError(
            try DeviceOptions.parse(["--share", "a:t", "--share", "b:t"]).configuration.validateTags())
        try DeviceOptions.parse(["--share", "a:t", "--share", "b:u"]).configuration.validateTags()
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

    func testNetworks() throws {
        let options = try DeviceOptions.parse([
            "--net", "tap=a", "--net", "user,mac=02:00:00:00:00:07", "--net", "passt=/a,b=c,mac=06:05:04:03:02:01",
        ])
        let networks = options.configuration.networks
        XCTAssertEqual(networks.map(\.kind), [.tap(name: "a"), .user, .passt(path: "/a,b=c")])
        XCTAssertEqual(networks.map(\.address?.bytes), [nil, [2, 0, 0, 0, 0, 7], [6, 5, 4, 3, 2, 1]])
        XCTAssertEqual(options.configuration.drivers, ["virtio_mmio", "virtio_net"])
        XCTAssertNil(options.configuration.nameServer)
        XCTAssertEqual(try DeviceOptions.parse(["--net", "user"]).configuration.nameServer, "10.0.2.3")
        for wrong in [
            "", "tap", "tap=", "passt", "passt=", "user=", "other", "user,mac=", "tap=a,mac=1", "mac=02:00:00:00:00:07",
        ] {
            XCTAssertThrowsError(try DeviceOptions.parse(["--net", wrong]), wrong)
        }
    }

    /// passt is started before the guest is looked at, and ends with the command.
    func testPasst() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let path = folder.path("passt")
        // What answers at once, until it is left; then it says so.
        let script = """
            #!/bin/sh
            echo "$@" >\(folder.path("arguments"))
            head -c 46 <&3 >\(folder.path("question"))
            echo >&3
            cat <&3 >/dev/null
            echo over >\(folder.path("end"))
            """
        _ = try folder.file("passt", Array(script.utf8))
        XCTAssertEqual(chmod(path, 0o755), 0)
        func run(_ search: String) throws -> CommandLineRun {
            try CommandLineRun(command: [
                "/usr/bin/env", "PATH=\(search)", MiniVMMExecutable.path(), "run", "--guest", "hello", "--net",
                "user,mac=02:00:00:00:00:07",
            ])
        }
        var result = try run("\(folder.path):/usr/bin:/bin")
        result.assertStatus(64)
        XCTAssertTrue(result.errors.contains("does not read ACPI tables"), result.errors)
        XCTAssertTrue(String(decoding: try folder.bytes("arguments"), as: UTF8.self).contains("--fd 3"))
        XCTAssertEqual(Array(try folder.bytes("question")[10..<18]), [2, 0, 0, 0, 0, 7, 8, 6])
        while (try? folder.bytes("end")) == nil { sched_yield() }

        let failing = "#!/bin/sh\necho 'no way' >&2\nexit 1\n"
        _ = try folder.file("passt", Array(failing.utf8))
        result = try run("\(folder.path):/usr/bin:/bin")
        result.assertStatus(66)
        XCTAssertTrue(result.errors.contains("ended before it was ready, and said: no way."), result.errors)
        result = try run("/nowhere")
        result.assertStatus(66)
        XCTAssertTrue(result.errors.contains("There is no program passt in PATH."), result.errors)
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
            (["--net", "tap=no-such-one"], 66, "net"),
            (["--net", "passt=\(folder.path("none"))"], 66, "none cannot be connected to (ENOENT"),
            (["--console", "virtio"], 64, "does not read ACPI tables"),
            (["--share", "\(folder.path):t"], 64, "does not read ACPI tables"),
            (["--share", "\(folder.path):\(String(repeating: "x", count: 37))"], 64, "tags have 1 to 36 bytes"),
            (["--share", "\(disk):t"], 65, "it is no folder"),
            (["--share", "\(folder.path("none")):t"], 66, "cannot be shared (ENOENT"),
            (["--share", folder.path], 64, "HOST:TAG"),
            (["--disk", disk, "--report", disk], 64, "disk"),
        ] {
            let run = try CommandLineRun(["run", "--guest", "hello"] + arguments)
            run.assertStatus(status, "\(arguments)")
            XCTAssertTrue(run.errors.contains(words), run.errors)
        }
        XCTAssertEqual(try folder.bytes("disk"), [UInt8](repeating: 0, count: 512))
    }
}
