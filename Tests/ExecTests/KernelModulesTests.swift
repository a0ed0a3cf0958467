@testable import Boot
@testable import Exec
@testable import TestSupport
import XCTest

/// Drivers that a guest's kernel has as modules.
final class KernelModulesTests: XCTestCase {
    private static let list = """
        kernel/drivers/virtio/virtio_mmio.ko.xz: kernel/drivers/virtio/virtio.ko.xz kernel/drivers/virtio/virtio_ring.ko.xz
        kernel/drivers/virtio/virtio.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz
        kernel/drivers/virtio/virtio_ring.ko.xz:
        kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko.xz
        kernel/a.ko: kernel/b.ko
        kernel/b.ko: kernel/a.ko
        nonsense
        kernel/lost.ko: kernel/nowhere.ko

        """

    private let modules = KernelModules(
        dependencies: Array(list.utf8), builtIn: Array("kernel/drivers/block/virtio_blk.ko\n".utf8), directory: "/m")

    func testOrder() throws {
        let folder = "/m/kernel/drivers"
        XCTAssertEqual(
            try modules.paths(of: ["virtio_mmio", "virtio_blk", "virtio-rng"]),
            [
                "\(folder)/virtio/virtio_ring.ko.xz", "\(folder)/virtio/virtio.ko.xz",
                "\(folder)/virtio/virtio_mmio.ko.xz", "\(folder)/char/hw_random/virtio-rng.ko",
            ])
        XCTAssertEqual(try modules.paths(of: ["virtio_rng"]).last, "\(folder)/char/hw_random/virtio-rng.ko")
        XCTAssertEqual(try modules.paths(of: ["a"]), ["/m/kernel/b.ko", "/m/kernel/a.ko"], "a circle comes to an end")
        for name in ["none", "lost", "nonsense"] {
            XCTAssertThrowsError(try modules.paths(of: [name])) {
                let missing = name == "lost" ? "nowhere" : name
                XCTAssertEqual($0 as? ExecError, .noModule(name: missing, directory: "/m"))
            }
        }
        XCTAssertTrue(KernelModules.isCompressed("/a.ko.zst"))
        XCTAssertFalse(KernelModules.isCompressed("/a.ko"))
    }

    func testRelease() {
        var image = SampleBzImage().bytes
        XCTAssertNil(KernelRelease.read([]))
        image.replaceSubrange(0x20e..<0x210, with: [0, 0])
        XCTAssertNil(KernelRelease.read(image), "it says nothing")
        func set(_ offset: UInt16, _ text: String) {
            image.replaceSubrange(0x20e..<0x210, with: [UInt8(offset & 0xff), UInt8(offset >> 8)])
            let start = min(0x200 + Int(offset), image.count)
            let part = text.utf8.prefix(image.count - start)
            image.replaceSubrange(start..<start + part.count, with: part)
        }
        set(0x100, "6.1.0-18-amd64 (someone@somewhere) #1 SMP")
        XCTAssertEqual(KernelRelease.read(image), "6.1.0-18-amd64")
        for wrong in ["../../etc ", "..  ", " 6.1", String(repeating: "6", count: 65)] {
            set(0x100, wrong)
            XCTAssertNil(KernelRelease.read(image), wrong)
        }
        set(0xffff, "")
        XCTAssertNil(KernelRelease.read(Array(image.prefix(0x1000))))
    }

    func testModulesAreInTheGuest() throws {
        let host = SampleHost(folder: try makeFolder())
        try host.program("/bin/tool", SampleProgram())
        let folder = "/lib/modules/6.1"
        try host.file("\(folder)/modules.dep", Array("k/virtio-rng.ko.xz: k/virtio.ko\nk/virtio.ko:\n".utf8))
        try host.file("\(folder)/k/virtio.ko", [1])
        try host.file("\(folder)/k/virtio-rng.ko.xz", [2])
        var program = ExecProgram(name: "/bin/tool")
        program.drivers.names = ["virtio-rng"]
        program.drivers.kernel = "vmlinuz"
        func error() -> ExecError? {
            do {
                _ = try ExecGuest(program, host: host.files)
                return nil
            } catch {
                return error
            }
        }
        XCTAssertEqual(error(), .noModules(kernel: "vmlinuz", directory: nil))
        program.drivers.release = "6.2"
        XCTAssertEqual(error(), .noModules(kernel: "vmlinuz", directory: "/lib/modules/6.2"))
        program.drivers.release = "6.1"
        let archive = try ArchiveEntry.all(in: ExecGuest(program, host: host.files).initrd.bytes)
        let entries = Dictionary(uniqueKeysWithValues: archive.map { ($0.name, $0) })
        XCTAssertEqual(entries[".minivmm/modules/0"]?.contents, [1])
        XCTAssertEqual(entries[".minivmm/modules/1"]?.contents, [2])
        let order = try XCTUnwrap(entries[".minivmm/order"]?.contents)
        XCTAssertEqual(order.filter { $0 == 4 }.count, 1, "one is compressed")
    }
}
