@testable import Boot
@testable import Exec
@testable import KVM
@testable import TestSupport
import XCTest

final class LibraryCacheTests: XCTestCase {
    private struct Entry {
        var name: String
        var path: String
        var flags: UInt32 = 0x0303
    }

    /// A cache with these entries, in the present form, or in that and an older one before it.
    private func bytes(_ entries: [Entry], hasOldPart: Bool = false) -> [UInt8] {
        var result: [UInt8] = []
        if hasOldPart {
            result += Array("ld.so-1.7.0\0".utf8)
            result.append(integer: UInt32(3))
            result += [UInt8](repeating: 0xee, count: 3 * 12)
            while result.count % 8 != 0 { result.append(0) }
        }
        let start = result.count
        var strings: [UInt8] = []
        let stringStart = 48 + entries.count * 24
        result += Array("glibc-ld.so.cache1.1".utf8)
        result.append(integer: UInt32(entries.count))
        result += [UInt8](repeating: 0, count: 24)
        for entry in entries {
            result.append(integer: entry.flags)
            for text in [entry.name, entry.path] {
                result.append(integer: UInt32(stringStart + strings.count))
                strings += Array(text.utf8) + [0]
            }
            result += [UInt8](repeating: 0, count: 12)
        }
        XCTAssertEqual(result.count - start, stringStart)
        return result + strings
    }

    private let sample = [
        Entry(name: "libc.so.6", path: "/lib/x86_64-linux-gnu/libc.so.6"),
        Entry(name: "libc.so.6", path: "/lib32/libc.so.6", flags: 3),
        Entry(name: "libc.so.6", path: "/libx32/libc.so.6", flags: 0x803),
        Entry(name: "liba.so", path: "/usr/lib/glibc-hwcaps/x86-64-v3/liba.so"),
        Entry(name: "liba.so", path: "/usr/lib/liba.so"),
    ]

    func testLooksUpByNameAndWordSize() {
        for hasOldPart in [false, true] {
            let cache = LibraryCache(bytes(sample, hasOldPart: hasOldPart))
            XCTAssertEqual(cache.paths(of: "libc.so.6", is64Bit: true), ["/lib/x86_64-linux-gnu/libc.so.6"])
            XCTAssertEqual(cache.paths(of: "libc.so.6", is64Bit: false), ["/lib32/libc.so.6"])
            XCTAssertEqual(
                cache.paths(of: "liba.so", is64Bit: true),
                ["/usr/lib/glibc-hwcaps/x86-64-v3/liba.so", "/usr/lib/liba.so"])
            XCTAssertEqual(cache.paths(of: "libb.so", is64Bit: true), [])
        }
    }

    func testWhatIsNoCacheIsEmpty() {
        for bytes in [[], [UInt8](repeating: 0, count: 100), Array("glibc-ld.so.cache1.1".utf8)] {
            XCTAssertEqual(LibraryCache(bytes).paths(of: "libc.so.6", is64Bit: true), [])
        }
    }

    func testTenThousandDamagedCaches() throws {
        try TestBed.skipWhereEmulated()
        for hasOldPart in [false, true] {
            let whole = bytes(sample, hasOldPart: hasOldPart)
            for seed in 0..<10_000 {
                var generator = SeededGenerator(seed: UInt64(seed))
                let cache = LibraryCache(Mutation.mutate(whole, at: 0..<whole.count, using: &generator))
                for path in cache.paths(of: "libc.so.6", is64Bit: true) { XCTAssertTrue(path.hasPrefix("/")) }
            }
        }
    }

    func testTheHostsOwnCache() throws {
        let file = try? HostFiles().read("/etc/ld.so.cache")
        guard let file, !file.isEmpty else { throw XCTSkip("this host has no /etc/ld.so.cache") }
        let paths = LibraryCache(file).paths(of: "libc.so.6", is64Bit: true)
        XCTAssertTrue(paths.contains { FileManager.default.fileExists(atPath: $0) }, "\(paths)")
    }
}
