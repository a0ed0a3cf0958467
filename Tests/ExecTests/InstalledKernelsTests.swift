@testable import Exec
@testable import TestSupport
@testable import minivmm_cli
import XCTest

final class InstalledKernelsTests: XCTestCase {
    func testVersionsInOrder() {
        let names = [
            "vmlinuz-0-rescue-0123", "vmlinuz-5.10.0-9-amd64", "vmlinuz-5.10.0-10-amd64", "vmlinuz-6.1-rc1",
            "vmlinuz-6.1.0-9-cloud-amd64", "vmlinuz-6.1.0-56-amd64", "vmlinuz-6.1.0-56-cloud-amd64",
            "vmlinuz-6.10.3", "vmlinuz-linux",
        ]
        for (index, name) in names.enumerated() {
            XCTAssertFalse(InstalledKernels.isOlder(name, name))
            for newer in names[(index + 1)...] {
                XCTAssertTrue(InstalledKernels.isOlder(name, newer), "\(name) < \(newer)")
                XCTAssertFalse(InstalledKernels.isOlder(newer, name), "\(newer) < \(name)")
            }
        }
    }

    func testTheNewest() throws {
        let folder = try makeFolder()
        XCTAssertThrowsError(try InstalledKernels.newest(in: folder.path)) {
            XCTAssertEqual($0 as? ExecError, .noKernel(directory: folder.path))
            XCTAssertEqual(($0 as? any CommandError)?.remedy.contains("linux-image-cloud-amd64"), true)
        }
        for name in ["vmlinuz-6.1.9", "vmlinuz-6.1.10", "vmlinuz", "initrd.img-7.0"] { _ = try folder.file(name, [1]) }
        XCTAssertEqual(try InstalledKernels.newest(in: folder.path), folder.path("vmlinuz-6.1.10"))
        XCTAssertThrowsError(try InstalledKernels.newest(in: folder.path("none")))
    }
}
