@testable import TestSupport
import XCTest

/// Profiles and symbols on the command line.
final class ProfileOptionTests: KVMTestCase {
    /// Two functions that make ECX and two times ECX OUTs.
    private static let guest: [UInt8] = [
        0x66, 0x89, 0xce,  // mov esi, ecx
        0xe8, 0x04, 0x00,  // call one, at 0x7c0a
        0xe8, 0x09, 0x00,  // call two, at 0x7c12
        0xf4,  // hlt
        0xe6, 0x80,  // one: out 0x80, al
        0x66, 0x49,  // dec ecx
        0x75, 0xfa,  // jnz one
        0x90,  // nop
        0xc3,  // ret
        0x66, 0x89, 0xf1,  // two: mov ecx, esi
        0x66, 0x01, 0xf1,  // add ecx, esi
        0xe6, 0x80,  // again: out 0x80, al
        0x66, 0x49,  // dec ecx
        0x75, 0xfa,  // jnz again
        0xc3,  // ret
    ]

    private static let map = "7c00 T start\n7c0a T one\n7c12 t two\n"

    func testFoldedStacks() throws {
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        let image = try folder.file("guest.bin", Self.guest)
        let map = try folder.file("guest.map", Array(Self.map.utf8))
        let profile = folder.path("out.folded")
        let run = try CommandLineRun([
            "run", image, "--argument", "1000", "--symbols", map, "--profile", profile, "--top", "3",
        ])
        run.assertStatus(0)
        XCTAssertEqual(
            try String(contentsOfFile: profile, encoding: .utf8),
            """
            \(image);one;io_out, port 0x80 (POST codes) 1000
            \(image);start;hlt 1
            \(image);two;io_out, port 0x80 (POST codes) 2000

            """)
        XCTAssertTrue(run.errors.contains(#/\n2\.00k +66\.6% .* io_out +two\n/#), run.errors)
        XCTAssertTrue(run.errors.contains(#/\n3\.00k +100% .* io_out +port 0x80 \(POST codes\)\n/#), run.errors)
    }

    func testFunctionsInJSON() throws {
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        let image = try folder.file("guest.bin", Self.guest)
        let map = try folder.file("guest.map", Array(Self.map.utf8))
        let pprof = folder.path("out.pb.gz")
        let run = try CommandLineRun([
            "run", image, "--argument", "10", "--symbols", map, "--stats", "json", "--profile", pprof,
            "--profile-weight", "cycles",
        ])
        run.assertStatus(0)
        let record = try JSONValue(Array(run.errors.utf8))
        XCTAssertEqual(try JSONSchema(file: "run.schema.json").problems(of: record), [])
        let places = try XCTUnwrap(record["places"]?["places"]).elements
        XCTAssertEqual(places.map { $0["function"]?.string }, ["two", "one", "start"])
        XCTAssertEqual(places.map { $0["exits"]?.integer }, [20, 10, 1])
        XCTAssertEqual(try Data(contentsOf: URL(fileURLWithPath: pprof)).prefix(2), Data([0x1f, 0x8b]))
    }

    func testComparedFunctions() throws {
        try TestBed.skipWhereEmulated()
        _ = try TestKVM.shared()
        let folder = try makeFolder()
        let image = try folder.file("guest.bin", Self.guest)
        let map = try folder.file("guest.map", Array(Self.map.utf8))
        let other = try folder.file("other.map", Array("7c00 T start\n7c0a T one\n7c12 t three\n".utf8))
        for (count, map, name) in [("1000", map, "a.json"), ("2000", other, "b.json")] {
            try CommandLineRun([
                "run", image, "--argument", count, "--symbols", map, "--report", folder.path(name),
            ]).assertStatus(0)
        }
        let text = try CommandLineRun(["compare", folder.path("a.json"), folder.path("b.json")]).outputText
        XCTAssertTrue(
            text.hasSuffix(
                """

                exits A     B   change  exit    about
                   3000  6000  +100.0%  io_out  port 0x80 (POST codes)
                By about: 1 is the same.

                exits A     B   change  exit    function
                      0  4000      new  io_out  three
                   2000     0     gone  io_out  two
                   1000  2000  +100.0%  io_out  one
                By function: 1 is the same.

                """), text)
    }

    func testWrongFiles() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let image = try folder.file("guest.bin", Self.guest)
        try CommandLineRun(["run", image, "--symbols", folder.path("none")]).assertStatus(66)
        let text = try CommandLineRun(["run", image, "--symbols", folder.file("x", Array("hello\n".utf8))])
        text.assertStatus(65)
        XCTAssertTrue(text.errors.contains("neither an ELF file nor a list"), text.errors)
        try CommandLineRun(["run", image, "--profile", folder.path("none/x")]).assertStatus(74)
        try CommandLineRun(["run", image, "--profile-weight", "bytes"]).assertStatus(64)
    }
}
