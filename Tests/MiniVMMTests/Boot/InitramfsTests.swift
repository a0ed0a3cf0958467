import XCTest

@testable import MiniVMM

final class InitramfsTests: XCTestCase {
    /// An entry as a reader of the format sees it.
    private struct Entry: Equatable {
        var name: String
        var mode: UInt32
        var linkCount: UInt32 = 1
        var contents: [UInt8] = []
        var device: [UInt32] = [0, 0]
    }

    /// Reads an archive as the kernel does, up to its end mark.
    private func entries(_ archive: [UInt8]) throws -> [Entry] {
        var entries: [Entry] = []
        var inodes = Set<UInt32>()
        var position = 0
        while true {
            let header = String(decoding: try XCTUnwrap(archive.part(at: UInt64(position), count: 110)), as: UTF8.self)
            XCTAssertTrue(header.hasPrefix("070701"))
            let numbers = try (0..<13).map { index -> UInt32 in
                let start = header.index(header.startIndex, offsetBy: 6 + 8 * index)
                return try XCTUnwrap(UInt32(header[start..<header.index(start, offsetBy: 8)], radix: 16))
            }
            let nameStart = position + 110
            let nameSize = Int(numbers[11])
            XCTAssertEqual(archive[nameStart + nameSize - 1], 0)
            let name = String(decoding: archive[nameStart..<nameStart + nameSize - 1], as: UTF8.self)
            let contentsStart = (nameStart + nameSize + 3) & ~3
            let contentsEnd = contentsStart + Int(numbers[6])
            position = (contentsEnd + 3) & ~3
            XCTAssertEqual(
                [numbers[2], numbers[3], numbers[5], numbers[7], numbers[8], numbers[12]], [0, 0, 0, 0, 0, 0])
            if name == "TRAILER!!!" { break }
            XCTAssertTrue(inodes.insert(numbers[0]).inserted)
            let entry = Entry(
                name: name, mode: numbers[1], linkCount: numbers[4],
                contents: Array(archive[contentsStart..<contentsEnd]),
                device: [numbers[9], numbers[10]])
            entries.append(entry)
        }
        XCTAssertEqual(archive.count % 512, 0)
        XCTAssertTrue(archive[position...].allSatisfy { $0 == 0 })
        return entries
    }

    func testAnArchiveOfNothing() throws {
        XCTAssertEqual(try entries(Initramfs().archive), [])
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
            try entries(image.archive),
            [
                Entry(name: "dev", mode: 0o40755, linkCount: 2),
                Entry(name: "dev/console", mode: 0o20600, device: [5, 1]),
                Entry(name: "dev/vda", mode: 0o60660, device: [254, 0]),
                Entry(name: "init", mode: 0o100755, contents: [1, 2, 3, 4, 5]),
                Entry(name: "lib", mode: 0o120777, contents: Array("usr/lib".utf8)),
                Entry(name: "tmp", mode: 0o41777, linkCount: 2),
            ])
    }

    func testPaddingAtEveryLength() throws {
        for count in 0..<9 {
            var image = Initramfs()
            try image.addFile(String(repeating: "n", count: count + 1), contents: SampleBzImage.pattern(count: count))
            try image.addFile("next", contents: [])
            let found = try entries(image.archive)
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
            try entries(image.archive).map(\.name), ["usr", "usr/lib", "usr/lib/a", "usr/lib/a/one", "usr/lib/a/two"])
    }

    func testALinkCanStandForADirectory() throws {
        var image = Initramfs()
        try image.addDirectory("/usr/lib64")
        try image.addSymbolicLink("/lib64", target: "usr/lib64")
        try image.addFile("/lib64/ld.so", contents: [1])
        XCTAssertEqual(try entries(image.archive).map(\.name), ["usr", "usr/lib64", "lib64", "lib64/ld.so"])
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
        XCTAssertEqual(try entries(image.archive).map(\.name), ["a"])
    }

    func testTheArchiveCanBeHadMoreThanOnce() throws {
        var image = Initramfs()
        try image.addFile("/a", contents: [1])
        XCTAssertEqual(try entries(image.archive).count, 1)
        try image.addFile("/b", contents: [2])
        XCTAssertEqual(try entries(image.archive).count, 2)
    }
}
