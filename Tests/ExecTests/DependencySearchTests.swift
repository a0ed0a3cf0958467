@testable import Boot
@testable import Exec
import Foundation
@testable import Host
@testable import TestSupport
import XCTest
@testable import minivmm_cli

final class DependencySearchTests: XCTestCase {
    private static let loader = "/lib64/ld-linux-x86-64.so.2"

    /// A host with the loader and the C library.
    private func makeHost() throws -> SampleHost {
        let host = SampleHost(folder: try makeFolder())
        try host.program(Self.loader, SampleProgram())
        try host.program("/lib/x86_64-linux-gnu/libc.so.6", SampleProgram())
        return host
    }

    private func program(_ libraries: [String], earlyPath: String? = nil, runPath: String? = nil) -> SampleProgram {
        SampleProgram(interpreter: Self.loader, libraries: libraries, earlyPath: earlyPath, runPath: runPath)
    }

    func testAStaticProgramNeedsNothing() throws {
        let host = try makeHost()
        try host.program("/bin/static", SampleProgram(type: 2))
        XCTAssertEqual(try host.needs(of: "/bin/static"), [])
    }

    func testLibrariesOfLibrariesEachOnce() throws {
        let host = try makeHost()
        try host.program("/bin/p", program(["liba.so", "libc.so.6"]))
        try host.program("/usr/lib/liba.so", SampleProgram(libraries: ["libb.so", "libc.so.6"]))
        // A circle, as the C library and the loader make one.
        try host.program("/usr/lib/libb.so", SampleProgram(libraries: ["liba.so"]))
        XCTAssertEqual(
            try host.needs(of: "/bin/p"),
            [Self.loader, "/usr/lib/liba.so", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/libb.so"])
    }

    func testTheLibraryThatTheCLibraryLoadsByItself() throws {
        let host = try makeHost()
        try host.program("/bin/p", program(["libc.so.6"]))
        try host.program("/usr/lib/libgcc_s.so.1", SampleProgram())
        XCTAssertEqual(try host.needs(of: "/bin/p").last, "/usr/lib/libgcc_s.so.1")
    }

    func testTheOrderOfPlaces() throws {
        let host = try makeHost()
        let places = ["/early", "/environment", "/run", "/lib64", "/usr/lib"]
        try host.program("/bin/early", program(["liba.so"], earlyPath: "/early"))
        try host.program("/bin/run", program(["liba.so"], earlyPath: "/early", runPath: "/run"))
        for (index, place) in places.enumerated().reversed() {
            try host.program("\(place)/liba.so", SampleProgram())
            let early = try host.needs(of: "/bin/early", libraryPath: "/environment")
            let run = try host.needs(of: "/bin/run", libraryPath: "/environment")
            // The early path counts where there is no run path, and the other way around.
            XCTAssertEqual(early[1], ["/early", "/environment", "/lib64", "/lib64", "/usr/lib"][index] + "/liba.so")
            XCTAssertEqual(run[1], ["/environment", "/environment", "/run", "/lib64", "/usr/lib"][index] + "/liba.so")
        }
    }

    func testAnEarlyPathCountsForLibrariesToo() throws {
        let host = try makeHost()
        try host.program("/bin/p", program(["liba.so"], earlyPath: "/early"))
        try host.program("/bin/q", program(["liba.so"], runPath: "/early"))
        try host.program("/early/liba.so", SampleProgram(libraries: ["libb.so"]))
        try host.program("/early/libb.so", SampleProgram())
        XCTAssertEqual(try host.needs(of: "/bin/p"), [Self.loader, "/early/liba.so", "/early/libb.so"])
        // A run path does not.
        XCTAssertEqual(error { try host.needs(of: "/bin/q") }, .missing(name: "libb.so", neededBy: "/early/liba.so"))
    }

    func testTheLoadersVariables() throws {
        let host = try makeHost()
        let runPath = "${ORIGIN}/../lib:/x/$PLATFORM/$LIB"
        try host.program("/opt/p/bin/p", program(["liba.so", "libb.so"], runPath: runPath))
        try host.program("/opt/p/lib/liba.so", SampleProgram())
        try host.program("/x/x86_64/lib64/libb.so", SampleProgram())
        try host.link("/bin/p", to: "../opt/p/bin/p")
        // The origin is that of the file, wherever a link to it stands.
        XCTAssertEqual(
            try host.needs(of: "/bin/p"),
            [Self.loader, "/opt/p/bin/../lib/liba.so", "/x/x86_64/lib64/libb.so"])
    }

    func testVariantsForProcessorsThatCanMore() throws {
        let host = try makeHost()
        try host.program("/bin/p", program(["liba.so"]))
        try host.program("/usr/lib/glibc-hwcaps/x86-64-v3/liba.so", SampleProgram(libraries: ["libb.so"]))
        try host.program("/usr/lib/liba.so", SampleProgram())
        try host.program("/usr/lib/libb.so", SampleProgram())
        XCTAssertEqual(
            try host.needs(of: "/bin/p"),
            [
                Self.loader, "/usr/lib/glibc-hwcaps/x86-64-v3/liba.so", "/usr/lib/liba.so", "/usr/lib/libb.so",
            ])
    }

    func testLibrariesForAnotherProcessorArePassedOver() throws {
        let host = try makeHost()
        try host.program("/lib/ld-linux.so.2", .narrow())
        try host.program("/bin/wide", program(["liba.so"]))
        try host.program("/bin/narrow", .narrow(libraries: ["liba.so"], interpreter: "/lib/ld-linux.so.2"))
        try host.program("/lib/liba.so", .narrow())
        try host.program("/usr/lib/liba.so", SampleProgram())
        try host.file("/lib64/liba.so", Array("INPUT(liba.so.1)".utf8))
        XCTAssertEqual(try host.needs(of: "/bin/wide"), [Self.loader, "/usr/lib/liba.so"])
        XCTAssertEqual(try host.needs(of: "/bin/narrow"), ["/lib/ld-linux.so.2", "/lib/liba.so"])
    }

    func testALibraryThatIsNamedByAPath() throws {
        let host = try makeHost()
        try host.program("/home/p", program(["./liba.so", "/opt/libb.so"]))
        try host.program("/home/liba.so", SampleProgram())
        try host.program("/opt/libb.so", SampleProgram())
        XCTAssertEqual(
            try host.needs(of: "/home/p", from: "/home"), [Self.loader, "/home/./liba.so", "/opt/libb.so"])
    }

    func testMusl() throws {
        let host = SampleHost(folder: try makeFolder())
        let loader = "/lib/ld-musl-x86_64.so.1"
        try host.program(loader, SampleProgram())
        let program = SampleProgram(
            interpreter: loader, libraries: ["libz.so.1", "libc.musl-x86_64.so.1", "libc.so"])
        try host.program("/bin/p", program)
        try host.program("/usr/lib/libz.so.1", SampleProgram())
        XCTAssertEqual(try host.needs(of: "/bin/p"), [loader, "/usr/lib/libz.so.1"])
    }

    func testScripts() throws {
        let host = try makeHost()
        try host.program("/bin/sh", program(["libc.so.6"]))
        try host.program("/usr/bin/env", program(["libc.so.6"]))
        try host.program("/opt/python3", program([]))
        try host.script("/a", "#!/bin/sh -e\necho\n")
        try host.script("/b", "#! /usr/bin/env -S python3 -u\n")
        try host.script("/c", "#!/a\n")
        let needsOfShell = ["/bin/sh", Self.loader, "/lib/x86_64-linux-gnu/libc.so.6"]
        XCTAssertEqual(try host.needs(of: "/a"), needsOfShell)
        XCTAssertEqual(
            try host.needs(of: "/b", searchPath: "/bin:/opt"),
            ["/usr/bin/env", Self.loader, "/lib/x86_64-linux-gnu/libc.so.6", "/opt/python3"])
        XCTAssertEqual(try host.needs(of: "/c"), ["/a"] + needsOfShell)
        // What env will look for is a guess, and no error.
        XCTAssertEqual(
            try host.needs(of: "/b"), ["/usr/bin/env", Self.loader, "/lib/x86_64-linux-gnu/libc.so.6"])
    }

    func testScriptsThatInterpretEachOther() throws {
        let host = try makeHost()
        try host.script("/a", "#!/b\n")
        try host.script("/b", "#!/a\n")
        guard case .notExecutable = error({ try host.needs(of: "/a") }) else { return XCTFail("no error") }
    }

    func testWhatIsMissing() throws {
        let host = try makeHost()
        try host.program("/bin/p", program(["libx.so.1"]))
        XCTAssertEqual(error { try host.needs(of: "/bin/p") }, .missing(name: "libx.so.1", neededBy: "/bin/p"))
        try host.program("/bin/q", SampleProgram(interpreter: "/nix/ld.so", libraries: ["libc.so.6"]))
        XCTAssertEqual(error { try host.needs(of: "/bin/q") }, .missing(name: "/nix/ld.so", neededBy: "/bin/q"))
        try host.script("/s", "#!/bin/nosh\n")
        XCTAssertEqual(error { try host.needs(of: "/s") }, .missing(name: "/bin/nosh", neededBy: "/s"))
    }

    func testWhatIsNoProgramForTheGuest() throws {
        let host = try makeHost()
        try host.program("/arm", SampleProgram(machine: 183))
        try host.program("/x32", SampleProgram(is64Bit: false, machine: 62))
        try host.program("/object", SampleProgram(type: 1))
        try host.file("/empty")
        try host.file("/text", Array("hello".utf8))
        for (path, reason) in [
            ("/arm", "is an ELF program for ARM64, and the guest's processor is x86-64"),
            ("/x32", "is a 32-bit ELF program for x86-64, and the guest's processor is x86-64"),
            ("/object", "is an ELF object file for x86-64, not a program"),
            ("/empty", "is empty"),
            ("/text", "is neither an ELF program nor a script that begins with #!"),
        ] {
            XCTAssertEqual(error { try host.needs(of: path) }, .notExecutable(path: path, reason: reason))
        }
        var bytes = program(["libc.so.6"]).bytes
        bytes.set(UInt16.max, at: 56)
        try host.file("/damaged", bytes)
        XCTAssertEqual(error { try host.needs(of: "/damaged") }?.exitStatus, .programNotExecutable)
    }

    /// The loader has mapped the libraries of the program that runs these tests; the search must find them all.
    func testTheProgramThatRunsThisTest() throws {
        // Foundation ends at the first short read, which in /proc is after a page.
        let maps = try ForeignText.text(ImageFile(reading: "/proc/self/maps").bytes)
        let mapped = Set(
            maps.split(separator: "\n").compactMap { line in
                line.firstIndex(of: "/").map { String(line[$0...]) }
            }
        ).filter { $0.contains(".so") && !$0.hasSuffix("(deleted)") }
        let path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let host = HostFiles()
        let environment = ProcessInfo.processInfo.environment
        let search = DependencySearch(
            sources: HostSources(host: host), directory: FileManager.default.currentDirectoryPath,
            libraryPath: environment["LD_LIBRARY_PATH"] ?? "", searchPath: .standard)
        let needs = try search.files(neededBy: HostFile(path: path, bytes: try host.read(path)))
        let found = try Set(needs.map { try host.resolve($0.path) })
        // The C library and the loader at least.
        XCTAssertGreaterThanOrEqual(mapped.count, 2)
        XCTAssertEqual(mapped.subtracting(found), [])
    }
}
