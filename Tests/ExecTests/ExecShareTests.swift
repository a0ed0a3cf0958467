@testable import Boot
@testable import Exec
import Glibc
@testable import TestSupport
import XCTest

/// Where folders of the host are mounted in a program's guest.
final class ExecMountTests: XCTestCase {
    func testPlaces() throws {
        let host = SampleHost(folder: try makeFolder())
        try host.program("/bin/tool", SampleProgram())
        try host.file("/home/user/data/file", [1])
        try host.link("/home/short", to: "user/data")
        var program = ExecProgram(name: "/bin/tool")
        program.directory = "/home/user"
        func order(_ source: String, _ destination: String?) throws -> ([ArchiveEntry], [UInt8]) {
            program.shares = [ExecShare(tag: "tag0", source: source, destination: destination, isReadOnly: true)]
            let entries = try ArchiveEntry.all(in: ExecGuest(program, host: host.files).initrd.bytes)
            return (entries, try XCTUnwrap(entries.first { $0.name == ".minivmm/order" }?.contents))
        }
        for (source, destination, place): (String, String?, String) in [
            (".", nil, "/home/user"), ("data", nil, "/home/user/data"), ("../user/./data", nil, "/home/user/data"),
            ("/home/short", nil, "/home/user/data"), ("data", "/mnt/here", "/mnt/here"), (".", "/a/../b/", "/b"),
        ] {
            let (entries, order) = try order(source, destination)
            XCTAssertTrue(entries.contains { "/" + $0.name == place }, "\(place) of \(source)")
            let words = Array("tag0".utf8) + [0] + Array(place.utf8) + [0]
            XCTAssertNotNil(order.firstRange(of: words), "\(place) of \(source)")
            XCTAssertFalse(entries.contains { $0.name.hasSuffix("data/file") }, "nothing is copied")
        }
        for (destination, error): (String, ExecError) in [
            ("/", .reserved(path: "/")), ("/..", .reserved(path: "/")), ("/proc", .reserved(path: "/proc")),
            ("/dev/x", .reserved(path: "/dev/x")), ("here", .notAbsolute(path: "here")),
        ] {
            XCTAssertThrowsError(try order(".", destination)) { XCTAssertEqual($0 as? ExecError, error) }
        }
        XCTAssertThrowsError(try order("/", nil)) { XCTAssertEqual($0 as? ExecError, .reserved(path: "/")) }
    }
}

/// Shared folders of a program's guest, with Linux's own driver.
final class ExecShareTests: ExecTestCase {
    private static let size = 3 << 20

    func testLinuxUsesASharedFolder() throws {
        _ = try GuestModules.files(["fuse", "virtiofs"])
        let folder = try makeFolder()
        let shared = folder.path("shared")
        mkdir(shared, 0o755)
        mkdir(shared + "/many", 0o755)
        for number in 0..<300 { _ = try folder.file("shared/many/\(number)", []) }
        let content = (0..<Self.size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
        _ = try folder.file("shared/input", content)
        mkdir(folder.path("fixed"), 0o755)
        _ = try folder.file("fixed/file", Array("as it was\n".utf8))
        // The program itself lies in the folder.
        let busybox = try folder.file("shared/busybox", LinuxBed.busybox())
        chmod(busybox, 0o755)
        let script = """
            b=$0; cd \(shared); $b pwd
            $b ls many | $b wc -l
            $b md5sum <input; $b dd if=input of=copy bs=128k conv=fsync 2>/dev/null
            echo one >a; echo two >>a; $b mv a many/b; $b cat many/b
            $b ln -s many/b link; $b readlink link; $b cat link | $b wc -l; $b ln many/b hard; $b rm link
            $b chmod 4640 hard; $b stat -c '%a %h %u %g' hard; $b truncate -s 2 hard; $b stat -c %s many/b
            $b mkfifo pipe; (echo through >pipe &); $b cat pipe; $b rm pipe
            $b mkdir -p x/y; $b rmdir x 2>/dev/null || echo full; $b rm -r x
            exec 5<>gone; $b rm gone; echo kept >&5; $b stat -Lc %s /proc/self/fd/5
            $b cat /fixed/file; echo no 2>/dev/null >/fixed/new || echo refused
            $b touch /fixed/file 2>/dev/null || echo refused
            $b dmesg | $b grep -c 'virtio.*\\(fail\\|error\\)\\|fs/fuse\\|BUG:'
            echo ready; until [ -s go ]; do $b usleep 50000; done; $b cat go
            """
        let run = try startExec([
            "--share", shared, "--share", "\(folder.path("fixed")):/fixed,ro", "--stats", "json", "--stats-file",
            folder.path("stats"), "--", busybox, "sh", "-c", script, busybox,
        ])
        try run.waitForOutput("ready\n")
        // What is new on the host, the guest sees while it runs.
        _ = try folder.file("shared/go", Array("live\n".utf8))
        let result = try CommandLineRun(of: run)
        result.assertStatus(0)
        XCTAssertEqual(
            result.outputText.split(separator: "\n").map(String.init),
            [
                shared, "300", "616f09067ad751f00312b81b308721e8  -", "one", "two", "many/b", "2", "640 2 0 0",
                "2", "through", "full", "5",
                "as it was", "refused", "refused", "0", "ready", "live",
            ])
        XCTAssertEqual(try folder.bytes("shared/copy"), content)
        XCTAssertEqual(try folder.bytes("shared/hard"), Array("on".utf8))
        XCTAssertEqual(try folder.bytes("fixed/file"), Array("as it was\n".utf8))
        let shares = try XCTUnwrap(String(validating: folder.bytes("stats"), as: UTF8.self))
        XCTAssertTrue(shares.contains("\"virtio share 0\""))
        XCTAssertTrue(shares.contains("\"virtio share 1\""))
    }
}
