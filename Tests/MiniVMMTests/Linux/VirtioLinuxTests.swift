@testable import Boot
@testable import Counters
@testable import Devices
@testable import Host
@testable import TestSupport
import XCTest

@testable import MiniVMM

/// Linux's own drivers on our virtio devices.
final class VirtioLinuxTests: XCTestCase {
    private static let size = 2 << 20

    private func bytes(seed: UInt64, count: Int = VirtioLinuxTests.size) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<count / 8).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } }
    }

    func testDisksRandomNumbersAndConsole() throws {
        _ = try LinuxBed.kvm()
        let modules = try GuestModules.virtio()
        let folder = try makeFolder()
        let source = bytes(seed: 1)
        var boot = LinuxBoot(
            modules.script + """
                echo copied=$(dd if=/dev/vda of=/dev/vdb bs=64k conv=fsync 2>/dev/null && echo yes)
                # Ten times without a driver and with one again; then the other way round, with other numbers of requests.
                for time in 1 2 3 4 5 6 7 8 9 10; do
                    echo virtio3 >/sys/bus/virtio/drivers/virtio_blk/unbind
                    echo virtio3 >/sys/bus/virtio/drivers/virtio_blk/bind
                done
                echo again=$(cmp /dev/vda /dev/vdb && echo equal)
                echo readonly=$(cat /sys/block/vda/ro)$(cat /sys/block/vdb/ro)
                echo serial=$(cat /sys/block/vdb/serial)
                echo source=$(cat /sys/class/misc/hw_random/rng_current)
                echo random=$(dd if=/dev/hwrng bs=64 count=4 2>/dev/null | wc -c)
                echo name=$(cat /sys/class/virtio-ports/vport0p0/name)
                echo size=$(stty -F /dev/hvc0 size | tr ' ' x)
                # As long as it is open, it keeps its mode.
                exec 3<>/dev/hvc0
                stty raw -echo <&3
                yes 0123456789abcde | dd of=/dev/hvc0 bs=4k count=16 iflag=fullblock 2>/dev/null
                echo '\(LinuxBoot.prompt)' >/dev/hvc0
                read line </dev/hvc0
                echo typed=$line
                echo complaints=$(dmesg | grep -c 'virtio.*\\(fail\\|error\\|WARN\\)')
                poweroff -f
                """)
        boot.files = modules.files
        // The default one makes way for the virtio console. The script speaks before there is one.
        boot.arguments = "quiet console=ttyS0"
        boot.input = Array("a line\n".utf8)
        boot.components = [
            VirtioConsolePort(size: ConsoleSize(columns: 132, rows: 43)), EntropySource(),
            VirtioDisk(try Disk(path: try folder.file("source", source), isReadOnly: true)),
            VirtioDisk(try Disk(path: try folder.file("target", bytes(seed: 2)))),
        ]
        let run = try boot.run()
        XCTAssertEqual(run.ending, "powered_off", run.console)
        XCTAssertEqual(run["failed"], nil)
        XCTAssertEqual(run["copied"], "yes", run.console)
        XCTAssertEqual(try folder.bytes("target"), source)
        XCTAssertEqual(run["again"], "equal", run.console)
        XCTAssertEqual(run["readonly"], "10")
        XCTAssertEqual(run["serial"], "minivmm-disk1")
        XCTAssertEqual(run["source"], "virtio_rng.0")
        XCTAssertEqual(run["random"], "256")
        XCTAssertEqual(run["name"], "minivmm.console")
        XCTAssertEqual(run["size"], "43x132")
        XCTAssertEqual(run["typed"], "a line")
        XCTAssertEqual(run["complaints"], "0", run.console)
        XCTAssertEqual(run.console.components(separatedBy: "0123456789abcde\n").count, 4097)

        let devices = run.outcome.devices
        XCTAssertEqual(devices.map(\.name), ["virtio console", "virtio rng", "virtio disk 0", "virtio disk 1"])
        XCTAssertEqual(devices.map(\.isNotifiedByKernel), [false, false, true, true])
        XCTAssertEqual(devices.map(\.hasFailed), [false, false, false, false])
        XCTAssertGreaterThan(devices[2].bytesToGuest, UInt64(Self.size))
        XCTAssertGreaterThan(devices[3].bytesFromGuest, UInt64(Self.size))
        // A byte of the serial port is an exit at least: 1024 in a KiB.
        XCTAssertLessThan(devices[0].exits * 1024 / devices[0].bytesFromGuest, 16)
    }

    func testTheCommandWithNotificationsByExits() throws {
        _ = try LinuxBed.kvm()
        let modules = try GuestModules.virtio()
        let folder = try makeFolder()
        let source = bytes(seed: 3)
        let (disk, target) = (try folder.file("source", source), try folder.file("target", bytes(seed: 4)))
        let initrd = try LinuxBoot.initrd(
            script: modules.script + """
                dd if=/dev/vda of=/dev/vdb bs=32k conv=fsync 2>/dev/null && echo copied=yes >/dev/hvc0
                dd if=/dev/zero of=/dev/vda bs=512 count=1 oflag=direct 2>/dev/null || echo refused=yes >/dev/hvc0
                dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c | sed s/^/random=/ >/dev/hvc0
                echo '<3>from the kernel' >/dev/kmsg
                poweroff -f
                """, files: modules.files)
        let report = folder.path("report.json")
        let run = try CommandLineRun([
            "run", LinuxBed.kernel().path, "--initrd", try folder.file("initrd", initrd.bytes), "--memory", "128M",
            "--disk", "\(disk),ro", "--disk", target, "--rng", "--console", "virtio", "--notify", "exit",
            "--cpus", "2", "--report", report, "--timeout", "200",
        ])
        run.assertStatus(0)
        for word in ["copied=yes", "refused=yes", "random=64", "from the kernel"] {
            XCTAssertTrue(run.outputText.contains(word), "\(word) in \(run.outputText)")
        }
        XCTAssertEqual(try folder.bytes("target"), source)
        let json = String(decoding: try folder.bytes("report.json"), as: UTF8.self)
        XCTAssertEqual(json.components(separatedBy: "\"notifications\" : \"exit\"").count, 5)
    }
}
