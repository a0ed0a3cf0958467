@testable import Boot
@testable import Exec
@testable import Host
@testable import TestSupport
import XCTest

final class ExecGuestTests: XCTestCase {
    private static let loader = "/lib64/ld-linux-x86-64.so.2"

    private func makeHost() throws -> SampleHost {
        let host = SampleHost(folder: try makeFolder())
        try host.program("/usr/bin/tool", SampleProgram(interpreter: Self.loader, libraries: ["libc.so.6"]))
        try host.program("/usr/lib/ld.so", SampleProgram())
        try host.program("/usr/lib/libc.so.6", SampleProgram())
        try host.link("/usr/lib64/ld-linux-x86-64.so.2", to: "../lib/ld.so")
        try host.link("/lib64", to: "usr/lib64")
        try host.link("/bin", to: "usr/bin")
        try host.file("/etc/ld.so.cache", Array("cache".utf8))
        try host.file("/data/b/file", Array("data".utf8), mode: 0o600)
        try host.link("/data/link", to: "/nowhere")
        return host
    }

    private func entries(_ program: ExecProgram, _ host: SampleHost) throws -> [String: ArchiveEntry] {
        let guest = try ExecGuest(program, host: host.files)
        let entries = try ArchiveEntry.all(in: guest.initrd.bytes)
        let files = entries.filter { $0.mode & 0o170000 == 0o100000 }
        XCTAssertEqual(files.reduce(0) { $0 + $1.contents.count }, guest.contentSize)
        return Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0) })
    }

    private func error(_ program: ExecProgram, _ host: SampleHost) -> ExecError? {
        do {
            _ = try ExecGuest(program, host: host.files)
            return nil
        } catch {
            return error
        }
    }

    func testAProgramAndWhatItNeeds() throws {
        let host = try makeHost()
        var program = ExecProgram(name: "tool", arguments: [[0xff]])
        program.directory = "/data/b"
        let entries = try entries(program, host)
        // The search path finds it in the directory behind the link, or before it, whichever comes first.
        for (name, contents) in [
            ("usr/bin/tool", try host.files.read("/usr/bin/tool")), ("usr/lib/ld.so", SampleProgram().bytes),
            ("usr/lib64/ld-linux-x86-64.so.2", Array("../lib/ld.so".utf8)), ("lib64", Array("usr/lib64".utf8)),
            ("usr/lib/libc.so.6", SampleProgram().bytes), ("etc/ld.so.cache", Array("cache".utf8)),
            (".minivmm/init", ExecGuest.initImage), ("var/tmp", Array("/tmp".utf8)),
        ] {
            XCTAssertEqual(entries[name]?.contents, contents, name)
        }
        XCTAssertEqual(entries["usr/bin/tool"]?.mode, 0o100755)
        XCTAssertEqual(entries[".minivmm/init"]?.mode, 0o100755)
        XCTAssertEqual(entries["tmp"]?.mode, 0o41777)
        // The working directory is there, and nothing of what is in it.
        XCTAssertEqual(entries["data/b"]?.mode, 0o40755)
        XCTAssertNil(entries["data/b/file"])
        for name in ["dev", "proc", "sys", "root", "etc/passwd"] { XCTAssertNotNil(entries[name], name) }
    }

    func testTheOrder() throws {
        let host = try makeHost()
        var program = ExecProgram(name: "./tool", arguments: [Array("a b".utf8), []])
        program.directory = "/bin"
        program.mergesOutput = true
        try program.environment.set(Array("A=b".utf8))
        var expected = ExecOrder(
            program: Array("/bin/./tool".utf8), directory: Array("/bin".utf8),
            arguments: [Array("./tool".utf8), Array("a b".utf8), []], environment: program.environment.settings)
        expected.mergesOutput = true
        XCTAssertEqual(try entries(program, host)[".minivmm/order"]?.contents, try expected.encoded())
    }

    func testAdditions() throws {
        let host = try makeHost()
        try host.program("/opt/other", SampleProgram(interpreter: Self.loader, libraries: ["libo.so"]))
        try host.program("/usr/lib/libo.so", SampleProgram())
        var program = ExecProgram(name: "/bin/tool")
        program.directory = "/data"
        program.additions = [
            ExecAddition("b:/x/y"), ExecAddition("/data/link:/never"), ExecAddition("/opt/other"),
            ExecAddition("b/file:/etc/passwd"), ExecAddition("/data/b"),
        ]
        XCTAssertEqual(error(program, host), .unreadable(path: "/data/link", .noSuchFile))
        program.additions.remove(at: 1)
        let entries = try entries(program, host)
        for name in ["x/y/file", "etc/passwd", "data/b/file"] {
            XCTAssertEqual(entries[name]?.contents, Array("data".utf8), name)
        }
        XCTAssertEqual(entries["x/y/file"]?.mode, 0o100600)
        XCTAssertNotNil(entries["opt/other"])
        XCTAssertNotNil(entries["usr/lib/libo.so"])
    }

    func testADirectoryWithLinksAndPrograms() throws {
        let host = try makeHost()
        try host.program("/data/run", SampleProgram(interpreter: Self.loader, libraries: ["libo.so"]))
        try host.program("/data/plugin", SampleProgram(libraries: ["libmissing.so"]))
        try host.program("/usr/lib/libo.so", SampleProgram())
        var program = ExecProgram(name: "/bin/tool")
        program.additions = [ExecAddition(source: "/data", destination: "/d")]
        let entries = try entries(program, host)
        XCTAssertEqual(entries["d/link"]?.contents, Array("/nowhere".utf8))
        XCTAssertEqual(entries["d/b/file"]?.contents, Array("data".utf8))
        XCTAssertNotNil(entries["d/plugin"])
        XCTAssertNotNil(entries["usr/lib/libo.so"])
    }

    func testWhatCannotBeAdded() throws {
        let host = try makeHost()
        XCTAssertEqual(mkfifo(host.folder.path + "/data/pipe", 0o600), 0)
        try host.program("/opt/other", SampleProgram(libraries: ["libmissing.so"]))
        for (text, expected) in [
            ("/none", ExecError.unreadable(path: "/none", .noSuchFile)),
            ("/data/pipe", .notAFile(path: "/data/pipe", kind: "a pipe")),
            ("/data", .notAFile(path: "/data/pipe", kind: "a pipe")),
            ("/data/b:rel", .notAbsolute(path: "rel")), ("/data/b/file:", .notAbsolute(path: "")),
            ("/data/b/file:/proc/x", .reserved(path: "/proc/x")),
            ("/data/b/file:/dev/fd/x", .reserved(path: "/dev/fd/x")),
            ("/opt/other", .missing(name: "libmissing.so", neededBy: "/opt/other")),
        ] {
            var program = ExecProgram(name: "/bin/tool")
            program.additions = [ExecAddition(text)]
            XCTAssertEqual(error(program, host), expected, text)
        }
    }

    func testWhatAnAdditionMeans() {
        XCTAssertEqual(ExecAddition("a"), ExecAddition(source: "a"))
        XCTAssertEqual(ExecAddition("a:/b"), ExecAddition(source: "a", destination: "/b"))
        XCTAssertEqual(ExecAddition("a:b:/c"), ExecAddition(source: "a:b", destination: "/c"))
    }

    func testMemoryGrowsWithTheFiles() throws {
        let host = try makeHost()
        let small = try ExecGuest(ExecProgram(name: "/bin/tool"), host: host.files)
        XCTAssertGreaterThan(small.leastMemorySize, 64 << 20)
        XCTAssertLessThan(small.leastMemorySize, 256 << 20)
        XCTAssertGreaterThanOrEqual(small.defaultMemorySize, LinuxGuest.defaultMemorySize)
        XCTAssertEqual(small.defaultMemorySize % (64 << 20), 0)
        try host.file("/data/big", [UInt8](repeating: 1, count: 64 << 20))
        var program = ExecProgram(name: "/bin/tool")
        program.additions = [ExecAddition(source: "/data/big")]
        let large = try ExecGuest(program, host: host.files)
        XCTAssertEqual(large.leastMemorySize, small.leastMemorySize + (128 << 20))
    }

    func testTheCommandLine() {
        XCTAssertTrue(ExecGuest.commandLine(showsKernelLog: false).hasSuffix(" rdinit=/.minivmm/init quiet"))
        XCTAssertFalse(ExecGuest.commandLine(showsKernelLog: true).contains("quiet"))
    }
}
