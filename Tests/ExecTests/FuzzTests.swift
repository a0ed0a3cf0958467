@testable import Exec
@testable import Host
@testable import TestSupport
import XCTest

/// Input that somebody made to do harm, from generators with recorded seeds: whatever it is, there is an answer, in time.
final class FuzzTests: XCTestCase {
    private static let count: UInt64 = TestExtent.of(500, exhaustive: 200_000, total: 200_000)
    /// A damaged program can have tens of thousands of files looked for, which are so many system calls.
    private static let programCount: UInt64 = TestExtent.of(60, exhaustive: 20_000, total: 20_000)
    private static let loader = "/lib64/ld-linux-x86-64.so.2"

    /// Fails when a body takes long for an input.
    private func inTime(_ seed: UInt64, _ body: () throws -> Void) rethrows {
        let start = ContinuousClock.now
        try body()
        XCTAssertLessThan(start.duration(to: .now), .seconds(2), "seed \(seed)")
    }

    /// Programs that are damaged somewhere, and what they then lead to on a host.
    func testDependenciesOfDamagedPrograms() throws {
        try TestBed.skipWhereEmulated()
        let host = SampleHost(folder: try makeFolder())
        try host.program(Self.loader, SampleProgram())
        for name in ["liba.so", "libb.so"] {
            try host.program(
                "/usr/lib/\(name)", SampleProgram(libraries: ["libb.so", "liba.so"], runPath: "$ORIGIN:$LIB"))
        }
        let sample = SampleProgram(
            interpreter: Self.loader, libraries: ["liba.so", "/usr/lib/../lib/libb.so"], earlyPath: "$ORIGIN/$LIB:/usr")
        let whole = sample.bytes
        var answers: Set<Bool> = []
        for seed in 0..<Self.programCount {
            var generator = SeededGenerator(seed: seed)
            let bytes = Mutation.mutate(whole, at: 0..<whole.count - 8, using: &generator)
            inTime(seed) {
                let search = DependencySearch(
                    sources: HostSources(host: host.files), directory: "/", libraryPath: "", searchPath: .standard)
                let files = try? search.files(neededBy: HostFile(path: "/p", bytes: bytes))
                answers.insert(files != nil)
                // Nothing but what such a program can need.
                for file in files ?? [] { XCTAssertTrue(file.path.contains("lib"), "seed \(seed): \(file.path)") }
            }
        }
        XCTAssertEqual(answers, [true, false])
    }

    func testDamagedLibraryCaches() throws {
        try TestBed.skipWhereEmulated()
        var whole = Array("glibc-ld.so.cache1.1".utf8)
        whole += [UInt8](repeating: 0, count: 28)
        whole.set(UInt32(2), at: 20)
        for (name, path) in [(96, 104), (96, 120)] as [(UInt32, UInt32)] {
            for value in [0x0303, name, path, 0, 0, 0] as [UInt32] {
                whole += [UInt8](repeating: 0, count: 4)
                whole.set(value, at: whole.count - 4)
            }
        }
        whole += Array("liba.so\0/usr/lib/liba.so\0/lib/liba.so\0".utf8) + [UInt8](repeating: 0, count: 8)
        XCTAssertFalse(LibraryCache(whole).paths(of: "liba.so", is64Bit: true).isEmpty)
        for seed in 0..<Self.count {
            var generator = SeededGenerator(seed: seed)
            let bytes = Mutation.mutate(whole, at: 0..<whole.count - 8, using: &generator)
            inTime(seed) {
                for path in LibraryCache(bytes).paths(of: "liba.so", is64Bit: true) {
                    XCTAssertEqual(path.utf8.first, 0x2f)
                }
            }
        }
    }

    func testRandomFirstLinesOfScripts() throws {
        try TestBed.skipWhereEmulated()
        let alphabet = Array("#!/env -SuCi=\"'\\_c$ {}\t\nab\u{e9}".utf8) + [0xff, 0]
        var guesses = 0
        for seed in 0..<Self.count * 5 {
            var generator = SeededGenerator(seed: seed)
            let tail = (0..<Int.random(in: 0..<300, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            inTime(seed) {
                if ScriptHeader(Array("#!/bin/env ".utf8) + tail)?.programOfEnv != nil { guesses += 1 }
                _ = ScriptHeader(Array("#!".utf8) + tail)
                // What it splits into is no more than there was.
                let words = EnvArguments.split(tail) ?? []
                XCTAssertLessThanOrEqual(words.reduce(0) { $0 + $1.count }, tail.count)
            }
        }
        XCTAssertGreaterThan(guesses, 0)
    }
}
