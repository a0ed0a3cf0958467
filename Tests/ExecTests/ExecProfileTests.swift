@testable import Boot
@testable import Exec
@testable import TestSupport
@testable import Tracepoints
import XCTest

/// Where the exits of a program and of its kernel come from, by function.
final class ExecProfileTests: ExecTestCase {
    private static let first: UInt32 = 1000

    /// Two functions that execute CPUID N and 2N times, and the symbols of the code.
    private static func program() -> (file: [UInt8], map: String) {
        func loop(_ count: UInt32) -> [UInt8] {
            [0xbe] + StaticProgram.bytes(count)  // mov esi, count
                + [
                    0x31, 0xc0,  // again: xor eax, eax
                    0x31, 0xc9,  // xor ecx, ecx
                    0x0f, 0xa2,  // cpuid
                    0xff, 0xce,  // dec esi
                    0x75, 0xf6,  // jnz again
                    0xc3,  // ret
                ]
        }
        let (one, two) = (loop(first), loop(2 * first))
        let exit = [0x31, 0xc0] + StaticProgram.exit(.wide)  // xor eax, eax; exit
        let start =
            [0xe8] + StaticProgram.bytes(UInt32(5 + exit.count))  // call one
            + [0xe8] + StaticProgram.bytes(UInt32(exit.count + one.count))  // call two
            + exit
        let file = StaticProgram.file(.wide, code: { _ in start + one + two }, data: [])
        let address = StaticProgram.codeAddress(.wide)
        let places =
            [("start", address), ("one", address + UInt32(start.count))]
            + [("two", address + UInt32(start.count + one.count))]
        return (file, places.map { "\(String($0.1, radix: 16)) T \($0.0)\n" }.joined())
    }

    /// The weights of a profile's lines, by their stacks.
    private func weights(_ folded: [UInt8]) -> [String: Int] {
        let lines = String(decoding: folded, as: UTF8.self).split(separator: "\n").map { line in
            let space = line.lastIndex(of: " ") ?? line.startIndex
            return (String(line[..<space]), Int(line[space...].dropFirst()) ?? 0)
        }
        return Dictionary(lines, uniquingKeysWith: +)
    }

    private func profile(_ options: [String]) throws -> [String: Int] {
        let folder = try makeFolder()
        let (file, map) = Self.program()
        let path = try program("asker", file, in: folder)
        try exec(
            options + [
                "--symbols", folder.file("map", Array(map.utf8)), "--profile", folder.path("folded"), "--", path,
            ]
        ).assertStatus(0)
        return weights(try folder.bytes("folded"))
    }

    func testProgramAndKernel() throws {
        let weights = try profile(["--exits", "user"])
        let leaf = "cpuid, leaf 0x0 (highest leaf, vendor)"
        XCTAssertEqual(weights["asker;one;\(leaf)"], Int(Self.first))
        XCTAssertEqual(weights["asker;two;\(leaf)"], 2 * Int(Self.first))
        // Init, which hands over the symbols, stands where the program does.
        let inits = weights.filter { $0.key.hasPrefix("init;init;") && $0.key.contains(", page 0xf0000000 ") }
        XCTAssertGreaterThan(inits.values.reduce(0, +), 50)
        XCTAssertEqual(weights.filter { $0.key.contains("0xf0000000") }.count, inits.count, "\(weights)")
        // What the kernel does without anybody's symbols but its own; KASLR is on.
        let kernel = weights.filter { $0.key.hasPrefix("kernel;") }
        let named = kernel.filter { !$0.key.hasPrefix("kernel;0x") }.values.reduce(0, +)
        XCTAssertGreaterThan(kernel.values.reduce(0, +), 0)
        XCTAssertGreaterThanOrEqual(Double(named), 0.99 * Double(kernel.values.reduce(0, +)), "\(kernel)")
    }

    /// A program that needs the dynamic loader, which asks CPUID: where the loader was mapped, init tells.
    func testLibraries() throws {
        let folder = try makeFolder()
        try exec(["--exits", "user", "--profile", folder.path("folded"), "--", "/usr/bin/setpriv", "--version"])
            .assertStatus(0)
        let weights = weights(try folder.bytes("folded"))
        let loader = weights.filter { $0.key.hasPrefix("setpriv;ld-linux-x86-64.so.2;cpuid, leaf ") }
        XCTAssertGreaterThan(loader.values.reduce(0, +), 5, "\(weights)")
        XCTAssertEqual(weights.keys.filter { $0.hasPrefix("setpriv;0x") && $0.contains("cpuid") }, [])
    }

    /// A program that is traced gets its signals, may become another, and ends as it would else.
    func testSignalsReachATracedProgram() throws {
        let folder = try makeFolder()
        let script = "trap 'echo caught' USR1; kill -USR1 $$; /bin/true; exec /bin/sh -c 'kill -TERM $$'"
        let run = try exec([
            "--exits", "user", "--profile", folder.path("folded"), "--add", "/bin/true", "--", "/bin/sh", "-c", script,
        ])
        run.assertStatus(128 + SIGTERM)
        XCTAssertEqual(run.outputText, "caught\n")
    }

    /// Symbols of one boot name the functions of another, to which the kernel has moved elsewhere.
    func testSymbolsOfAnotherBoot() throws {
        let folder = try makeFolder()
        let symbols = try exec(["--", "/bin/cat", "/proc/kallsyms"])
        symbols.assertStatus(0)
        let statistics = folder.path("stats.json")
        try exec(
            ["--exits", "user", "--symbols", folder.file("kallsyms", symbols.output), "--", "/bin/true"],
            statistics: statistics
        ).assertStatus(0)
        let places = try XCTUnwrap(try JSONValue(folder.bytes("stats.json"))["places"]?["places"]).elements
        let place = try XCTUnwrap(places.first { $0["function"]?.string == "io_serial_in" })
        let address = try XCTUnwrap(place["address"]?.string.flatMap { UInt64($0.dropFirst(2), radix: 16) })
        let start = address &- UInt64(try XCTUnwrap(place["offset"]?.integer))
        // Two files of the kernel have a function of that name.
        let others = symbols.outputText.split(separator: "\n").filter { $0.hasSuffix(" io_serial_in") }
            .compactMap { UInt64($0.prefix { $0 != " " }, radix: 16) }
        XCTAssertTrue(others.contains { (start &- $0) % 0x20_0000 == 0 }, "\(start) \(others)")
        // One time in some hundreds it moves to the same place.
        XCTAssertFalse(others.contains(start))
        let kernel = places.filter { $0["address"]?.string?.hasPrefix("0xffffffff") ?? false }
        let named = kernel.filter { $0["function"]?.string != nil }
        func exits(_ places: [JSONValue]) -> Int64 { places.reduce(0) { $0 + ($1["exits"]?.integer ?? 0) } }
        XCTAssertGreaterThanOrEqual(Double(exits(named)), 0.99 * Double(exits(kernel)))
    }

    func testThoseThatKVMSettles() throws {
        try TestKVM.require(ExitTracepoints.Method.raw)
        let weights = try profile(["--exits", "all"])
        let all = weights.filter { !$0.key.hasPrefix("unknown;") }
        let named = all.filter { !$0.key.contains(";0x") }.values.reduce(0, +)
        XCTAssertGreaterThanOrEqual(
            Double(named), 0.95 * Double(weights.values.reduce(0, +)),
            "\(weights.filter { $0.key.contains("0x") }.sorted { $0.value > $1.value }.prefix(20))")
        for function in ["native_write_msr", "io_serial_in"] {
            XCTAssertTrue(all.keys.contains { $0.hasPrefix("kernel;\(function);") }, function)
        }
        let carried = weights.filter { $0.key.hasPrefix("asker;one;kvm CPUID") }.values.reduce(0, +)
        XCTAssertEqual(carried, 0)
    }
}
