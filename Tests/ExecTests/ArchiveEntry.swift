@testable import Boot
@testable import TestSupport
import XCTest

/// An entry of a cpio archive as a reader of the format sees it.
struct ArchiveEntry: Equatable {
    var name: String
    var mode: UInt32
    var linkCount: UInt32 = 1
    var contents: [UInt8] = []
    var device: [UInt32] = [0, 0]

    /// Reads an archive as the kernel does, up to its end mark.
    static func all(in archive: [UInt8]) throws -> [ArchiveEntry] {
        var entries: [ArchiveEntry] = []
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
            let entry = ArchiveEntry(
                name: name, mode: numbers[1], linkCount: numbers[4],
                contents: Array(archive[contentsStart..<contentsEnd]),
                device: [numbers[9], numbers[10]])
            entries.append(entry)
        }
        XCTAssertEqual(archive.count % 512, 0)
        XCTAssertTrue(archive[position...].allSatisfy { $0 == 0 })
        return entries
    }
}
