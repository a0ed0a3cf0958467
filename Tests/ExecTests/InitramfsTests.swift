@testable import Exec
@testable import TestSupport
import XCTest

final class InitramfsTests: XCTestCase {
    func testAnArchiveOfNothing() throws {
        XCTAssertEqual(try ArchiveEntry.all(in: Initramfs().archive), [])
    }

    func testEveryKindOfEntry() throws {
        var image = Initramfs()
        try image.addDirectory("/dev")
        try image.addDevice("/dev/console", major: 5, minor: 1)
        try image.addDevice("dev/vda", isBlock: true, major: 254, minor: 0, mode: 0o660)
        try image.addFile("/init", contents: [1, 2, 3, 4, 5], mode: 0o755)
        try image.addSymbolicLink("/lib", target: "usr/lib")
        try image.addDirectory("/tmp", mode: 0o1777)
        XCTAssertEqual(
            try ArchiveEntry.all(in: image.archive),
            [
                ArchiveEntry(name: "dev", mode: 0o40755, linkCount: 2),
                ArchiveEntry(name: "dev/console", mode: 0o20600, device: [5, 1]),
                ArchiveEntry(name: "dev/vda", mode: 0o60660, device: [254, 0]),
                ArchiveEntry(name: "init", mode: 0o100755, contents: [1, 2, 3, 4, 5]),
                ArchiveEntry(name: "lib", mode: 0o120777, contents: Array("usr/lib".utf8)),
                ArchiveEntry(name: "tmp", mode: 0o41777, linkCount: 2),
            ])
    }

    func testPaddingAtEveryLength() throws {
        for count in 0..<9 {
            var image = Initramfs()
            try image.addFile(String(repeating: "n", count: count + 1), contents: SampleBzImage.pattern(count: count))
            try image.addFile("next", contents: [])
            let found = try ArchiveEntry.all(in: image.archive)
            XCTAssertEqual(found.map(\.name), [String(repeating: "n", count: count + 1), "next"])
            XCTAssertEqual(found.first?.contents, SampleBzImage.pattern(count: count))
        }
    }

    func testMissingDirectoriesAreMadeOnce() throws {
        var image = Initramfs()
        try image.addFile("/usr/lib/a/one", contents: [1])
        try image.addFile("//usr/lib//a/two/", contents: [2])
        try image.addDirectory("usr/lib", mode: 0o700)
        XCTAssertEqual(
            try ArchiveEntry.all(in: image.archive).map(\.name),
            ["usr", "usr/lib", "usr/lib/a", "usr/lib/a/one", "usr/lib/a/two"])
    }

    func testALinkCanStandForADirectory() throws {
        var image = Initramfs()
        try image.addDirectory("/usr/lib64")
        try image.addSymbolicLink("/lib64", target: "usr/lib64")
        try image.addFile("/lib64/ld.so", contents: [1])
        XCTAssertEqual(
            try ArchiveEntry.all(in: image.archive).map(\.name), ["usr", "usr/lib64", "lib64", "lib64/ld.so"])
    }

    func testWhatCannotBeAdded() throws {
        var image = Initramfs()
        try image.addFile("/a", contents: [])
        for path in ["", "/", "/a/../b", ".", "/x/./y", "a\0b", "TRAILER!!!", String(repeating: "x", count: 4096)] {
            XCTAssertThrowsError(try image.addFile(path, contents: [])) {
                XCTAssertEqual($0 as? InitramfsError, .invalidPath(path))
            }
        }
        XCTAssertThrowsError(try image.addFile("/a", contents: [])) {
            XCTAssertEqual($0 as? InitramfsError, .occupied("/a"))
        }
        XCTAssertThrowsError(try image.addDirectory("/a")) {
            XCTAssertEqual($0 as? InitramfsError, .occupied("/a"))
        }
        XCTAssertThrowsError(try image.addFile("/a/b", contents: [])) {
            XCTAssertEqual($0 as? InitramfsError, .occupied("/a"))
        }
        XCTAssertThrowsError(try image.addSymbolicLink("/l", target: ""))
        XCTAssertEqual(try ArchiveEntry.all(in: image.archive).map(\.name), ["a"])
    }

    func testTheArchiveCanBeHadMoreThanOnce() throws {
        var image = Initramfs()
        try image.addFile("/a", contents: [1])
        XCTAssertEqual(try ArchiveEntry.all(in: image.archive).count, 1)
        try image.addFile("/b", contents: [2])
        XCTAssertEqual(try ArchiveEntry.all(in: image.archive).count, 2)
    }
}
