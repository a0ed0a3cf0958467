import Foundation
import XCTest

/// What this process holds, by /proc/self/status.
struct ProcessStatus {
    /// Memory that is in use, in KiB.
    let residentKiB: Int
    /// Address space, in KiB: the whole memory of a guest, whether or not it was touched.
    let addressSpaceKiB: Int
    /// Threads.
    let threads: Int
    /// Open descriptors.
    let descriptors: Int

    /// Reads it.
    init() throws {
        let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        residentKiB = try Self.number("VmRSS:", in: text)
        addressSpaceKiB = try Self.number("VmSize:", in: text)
        threads = try Self.number("Threads:", in: text)
        descriptors = try OpenDescriptors.all().count
    }

    private static func number(_ name: String, in text: String) throws -> Int {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        let word = line?.split(whereSeparator: \.isWhitespace).dropFirst().first
        return try XCTUnwrap(word.flatMap { Int($0) })
    }
}
