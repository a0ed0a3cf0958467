@testable import Boot
@testable import Exec
import Foundation
import Glibc
@testable import Host
@testable import TestSupport
import XCTest

/// What a program or script that somebody else made leads `exec` to take from the host.
final class HostileProgramTests: XCTestCase {
    private static let loader = "/lib64/ld-linux-x86-64.so.2"
    private static let library = "/lib/x86_64-linux-gnu/libc.so.6"

    private func makeHost() throws -> SampleHost {
        let host = SampleHost(folder: try makeFolder())
        try host.program(Self.loader, SampleProgram())
        try host.program(Self.library, SampleProgram())
        try host.file("/root/secret", Array("secret".utf8), mode: 0o600)
        return host
    }

    func testAnInterpreterIsAnExecutableProgramOfTheSameMachine() throws {
        let host = try makeHost()
        try host.file("/noExecute", SampleProgram().bytes, mode: 0o644)
        try host.program("/narrow", .narrow())
        for interpreter in ["/root/secret", "/noExecute", "/narrow"] {
            try host.program("/bin/p", SampleProgram(interpreter: interpreter))
            guard case .notExecutable(path: "/bin/p", _) = error({ try host.needs(of: "/bin/p") })
            else { return XCTFail(interpreter) }
        }
        try host.program("/bin/p", SampleProgram(interpreter: "/root"))
        XCTAssertEqual(error { try host.needs(of: "/bin/p") }, .missing(name: "/root", neededBy: "/bin/p"))
    }

    func testAScriptsInterpreterIsExecutable() throws {
        let host = try makeHost()
        try host.script("/s", "#!/root/secret\n")
        try host.script("/root/secret", "#!/bin/sh\n", mode: 0o600)
        XCTAssertEqual(
            error { try host.needs(of: "/s") },
            .notExecutable(path: "/root/secret", reason: "has no permission to be executed"))
    }

    /// A script whose "env" is its own, and whose helper's only purpose is the interpreter that it names.
    func testWhatAScriptIsGuessedToStartLeaksNothing() throws {
        let host = try makeHost()
        try host.program("/d/env", SampleProgram(type: 2))
        try host.program("/d/helper", SampleProgram(interpreter: "/root/secret"))
        try host.script("/d/script", "#!./env ./helper\n")
        XCTAssertEqual(try host.needs(of: "/d/script", from: "/d"), ["/d/./env"])
        let program = ExecProgram(name: "./script")
        var here = program
        here.directory = "/d"
        let guest = try ExecGuest(here, host: host.files)
        XCTAssertEqual(guest.notes, [.programNotThere(name: "./helper", script: "/d/./script")])
        XCTAssertNil(try ArchiveEntry.all(in: guest.initrd.bytes).first { $0.contents == Array("secret".utf8) })
    }

    func testALibraryUnderManyNamesIsTakenOnce() throws {
        try TestBed.skipWhereEmulated()
        let host = try makeHost()
        let names = (0..<2000).map { "/lib/x86_64-linux-gnu/" + String(repeating: "./", count: $0) + "libc.so.6" }
        try host.program("/bin/p", SampleProgram(interpreter: Self.loader, libraries: names))
        let start = ContinuousClock.now
        let needs = try host.needs(of: "/bin/p")
        XCTAssertLessThan(start.duration(to: .now), .seconds(60))
        XCTAssertEqual(needs.count, names.count + 1)
        let guest = try ExecGuest(ExecProgram(name: "/bin/p"), host: host.files)
        XCTAssertLessThan(guest.contentSize, 8 << 20)
    }

    func testLimits() throws {
        let host = try makeHost()
        let libraries = (0..<12).map { "lib\($0).so" }
        for (index, name) in libraries.enumerated() {
            try host.program(
                "/usr/lib/\(name)", SampleProgram(libraries: Array(libraries.dropFirst(index + 1).prefix(1))))
        }
        try host.program("/bin/chain", SampleProgram(libraries: ["lib0.so"]))
        XCTAssertEqual(try host.needs(of: "/bin/chain").count, 12)
        var limits = ExecLimits()
        limits.depth = 8
        XCTAssertEqual(
            error { try host.needs(of: "/bin/chain", limits: limits) },
            .tooMuch(.depth(8), neededBy: "/usr/lib/lib8.so"))
        limits = ExecLimits()
        limits.fileCount = 5
        XCTAssertEqual(
            error { try host.needs(of: "/bin/chain", limits: limits) },
            .tooMuch(.files(5), neededBy: "/usr/lib/lib5.so"))
        limits = ExecLimits()
        limits.lookupCount = 20
        guard case .tooMuch(.lookups(20), _) = error({ try host.needs(of: "/bin/chain", limits: limits) })
        else { return XCTFail("no limit") }
        limits = ExecLimits()
        limits.byteCount = 2000
        guard case .tooMuch(.bytes(2000), _) = error({ try host.needs(of: "/bin/chain", limits: limits) })
        else { return XCTFail("no limit") }
    }

    /// A path list of 16 KiB that expands to twice as many directories, none of which is there.
    func testALongPathListTakesNoTime() throws {
        try TestBed.skipWhereEmulated()
        let host = try makeHost()
        let libraries = (0..<100).map { "lib\($0).so" }
        for name in libraries { try host.program("/usr/lib/\(name)", SampleProgram()) }
        let list = (0..<1500).map { "/$LIB/\($0)" }.joined(separator: ":")
        try host.program("/bin/p", SampleProgram(libraries: libraries, earlyPath: list))
        let start = ContinuousClock.now
        XCTAssertEqual(try host.needs(of: "/bin/p").count, 100)
        XCTAssertLessThan(start.duration(to: .now), .seconds(60))
    }

    func testWhatTheKernelMakesUpAndPipesAreNotFollowed() throws {
        let sources = HostSources(host: HostFiles())
        XCTAssertNil(try sources.find("/proc/version", neededBy: "a test"))
        XCTAssertNil(try sources.find("/dev/null", neededBy: "a test"))
        XCTAssertNotNil(try sources.find("/bin/sh", neededBy: "a test"))
        let host = try makeHost()
        // Nobody writes to it: opening it would wait for ever.
        XCTAssertEqual(mkfifo(host.folder.path + "/usr", 0o600), 0)
        try host.program("/bin/p", SampleProgram(interpreter: "/usr"))
        XCTAssertEqual(error { try host.needs(of: "/bin/p") }, .missing(name: "/usr", neededBy: "/bin/p"))
    }

    func testDirectoriesOfAnyDepth() throws {
        try TestBed.skipWhereEmulated()
        let host = try makeHost()
        try host.program("/bin/p", SampleProgram(type: 2))
        // Deep enough to see a recursion, and little enough for a build without optimization.
        let deep = "/deep" + String(repeating: "/d", count: 200)
        try host.file(deep + "/file", [1])
        var program = ExecProgram(name: "/bin/p")
        program.additions = [ExecAddition(source: "/deep")]
        let entries = try ArchiveEntry.all(in: ExecGuest(program, host: host.files).initrd.bytes)
        XCTAssertTrue(entries.contains { $0.name == String((deep + "/file").dropFirst()) })
    }

    func testNamesAreBytes() throws {
        let host = try makeHost()
        try host.program("/bin/p", SampleProgram(type: 2))
        let folder = host.folder.path + "/data"
        XCTAssertEqual(mkdir(folder, 0o755), 0)
        // Not UTF-8; and é in two ways, which are equal as text.
        let names: [[UInt8]] = [[0xff, 0x61], [0xc3, 0xa9], [0x65, 0xcc, 0x81]]
        for (index, name) in names.enumerated() {
            let path = (Array(folder.utf8) + [0x2f] + name).map { CChar(bitPattern: $0) } + [0]
            let descriptor = open(path, O_CREAT | O_WRONLY, 0o644)
            XCTAssertGreaterThanOrEqual(descriptor, 0)
            XCTAssertEqual(write(descriptor, [UInt8(index)], 1), 1)
            close(descriptor)
        }
        var program = ExecProgram(name: "/bin/p")
        program.additions = [ExecAddition(source: "/data")]
        let archive = try ExecGuest(program, host: host.files).initrd.bytes
        for name in names {
            let needle = Array("data/".utf8) + name + [0]
            XCTAssertNotNil(archive.indices.first { archive[$0...].starts(with: needle) })
        }
    }
}
