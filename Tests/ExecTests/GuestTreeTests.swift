@testable import Exec
@testable import Host
@testable import TestSupport
import XCTest

final class GuestTreeTests: XCTestCase {
    private func entries(_ tree: GuestTree) throws -> [String] {
        try ArchiveEntry.all(in: tree.initramfs()).map { entry in
            let kind = entry.mode & 0o170000
            let mode = String(entry.mode & 0o7777, radix: 8)
            switch kind {
            case 0o40000: return "\(entry.name)/ \(mode)"
            case 0o120000: return "\(entry.name) -> \(String(decoding: entry.contents, as: UTF8.self))"
            default: return "\(entry.name) \(mode) \(String(decoding: entry.contents, as: UTF8.self))"
            }
        }
    }

    private func makeHost() throws -> SampleHost {
        let host = SampleHost(folder: try makeFolder())
        try host.file("/usr/lib/libc.so.6.1", Array("C".utf8), mode: 0o644)
        try host.link("/usr/lib/libc.so.6", to: "libc.so.6.1")
        try host.link("/lib", to: "usr/lib")
        try host.link("/lib64", to: "/lib")
        return host
    }

    func testAFileHasTheNamesThatItHasOnTheHost() throws {
        var tree = GuestTree(host: try makeHost().files)
        try tree.mirror("/lib64/libc.so.6", bytes: Array("C".utf8), on: makeHost())
        // By another way, and once more.
        try tree.mirror("/usr/lib/libc.so.6.1", bytes: Array("D".utf8))
        XCTAssertEqual(
            try entries(tree),
            [
                "lib -> usr/lib", "lib64 -> /lib", "usr/ 755", "usr/lib/ 755", "usr/lib/libc.so.6 -> libc.so.6.1",
                "usr/lib/libc.so.6.1 644 C",
            ])
        XCTAssertEqual(tree.size, 1)
    }

    func testWhatIsThereStays() throws {
        var tree = GuestTree(host: try makeHost().files)
        try tree.addFile("/lib/libc.so.6", bytes: Array("mine".utf8), mode: 0o755)
        try tree.mirror("/lib64/libc.so.6", bytes: Array("C".utf8), on: makeHost())
        try tree.addFile("/usr/lib/libc.so.6", bytes: [])
        try tree.addLink("/usr/lib/libc.so.6", target: "x")
        XCTAssertEqual(
            try entries(tree),
            ["lib -> usr/lib", "lib64 -> /lib", "usr/ 755", "usr/lib/ 755", "usr/lib/libc.so.6 755 mine"])
    }

    func testAPlaceOfItsOwnInsteadOfALink() throws {
        var tree = GuestTree(host: try makeHost().files)
        // The last part of a new path is not followed: this is a directory of its own.
        try tree.addFile("/lib", bytes: [])
        XCTAssertThrowsError(try tree.mirror("/lib/libc.so.6", bytes: [])) {
            XCTAssertEqual($0 as? ExecError, .archive(.occupied("/lib")))
        }
    }

    func testDirectories() throws {
        var tree = GuestTree(host: try makeHost().files)
        try tree.addDirectory("/tmp/a/b", mode: 0o700)
        try tree.addDirectory("/tmp", mode: 0o1777)
        try tree.addDirectory("/lib/x")
        try tree.addFile("/tmp/./a/../c", bytes: [])
        XCTAssertEqual(
            try entries(tree),
            [
                "lib -> usr/lib", "tmp/ 755", "tmp/a/ 755", "tmp/a/b/ 700", "tmp/c 644 ", "usr/ 755", "usr/lib/ 755",
                "usr/lib/x/ 755",
            ])
        XCTAssertThrowsError(try tree.addDirectory("/tmp/c"))
    }

    func testTheKernelsOwnPlaces() throws {
        let host = try makeHost()
        var tree = GuestTree(host: host.files)
        try tree.addDirectory("/dev")
        for path in ["/dev/x", "/proc/self/exe", "/sys/x/y"] {
            XCTAssertThrowsError(try tree.addFile(path, bytes: [])) {
                XCTAssertEqual($0 as? ExecError, .reserved(path: path))
            }
        }
        try host.link("/etc/mtab", to: "/proc/self/mounts")
        XCTAssertThrowsError(try tree.mirror("/etc/mtab", bytes: []))
        XCTAssertThrowsError(try tree.addFile("/", bytes: []))
    }

    func testLinksThatLeadInACircle() throws {
        let host = try makeHost()
        try host.link("/a", to: "b")
        try host.link("/b", to: "a")
        var tree = GuestTree(host: host.files)
        XCTAssertThrowsError(try tree.mirror("/a/x", bytes: [])) {
            XCTAssertEqual($0 as? ExecError, .unreadable(path: "/a/x", .tooManyLinks))
        }
        XCTAssertThrowsError(try host.files.resolve("/a/x")) {
            XCTAssertEqual($0 as? ErrorNumber, .tooManyLinks)
        }
    }

    func testNoLinkLeadsOutOfTheTree() throws {
        let host = try makeHost()
        try host.link("/out", to: "../../../../../../../../etc/passwd")
        XCTAssertEqual(try host.files.resolve("/out"), "/etc/passwd")
        XCTAssertThrowsError(try host.files.status("/etc/passwd")) { XCTAssertEqual($0 as? ErrorNumber, .noSuchFile) }
    }
}

extension GuestTree {
    /// Adds a file of the host with given bytes, and the mode that it has there.
    fileprivate mutating func mirror(_ path: String, bytes: [UInt8], on host: SampleHost? = nil) throws {
        let mode = try host.map { try $0.files.resolvedStatus(path).status.mode } ?? 0o755
        try mirror(HostFile(path: path, bytes: bytes, mode: mode))
    }
}
