import CKVM
@testable import Devices
import Foundation
import Glibc
@testable import Host
@testable import Memory
import Synchronization
@testable import TestSupport
import XCTest

/// Guests, and others on the host, that try to get out of a shared folder; and requests that no kernel makes.
final class ShareEscapeTests: XCTestCase {
    private static let secret = Array("nobody's business".utf8)

    /// A folder with a secret beside the one that is shared.
    struct Bench {
        let outer: TemporaryFolder
        var shared: String { outer.path("shared") }

        init(_ outer: TemporaryFolder) throws {
            self.outer = outer
            mkdir(outer.path("shared"), 0o755)
            mkdir(outer.path("other"), 0o755)
            for name in ["secret", "other/secret"] { _ = try outer.file(name, ShareEscapeTests.secret) }
            try fill()
        }

        private func fill() throws {
            mkdir(outer.path("shared/folder"), 0o755)
            _ = try outer.file("shared/file", [1, 2, 3])
            _ = try outer.file("shared/folder/secret", [4, 5, 6])
        }

        /// Makes what is shared what it was.
        func clear() throws {
            for name in try FileManager.default.contentsOfDirectory(atPath: shared) {
                try FileManager.default.removeItem(atPath: "\(shared)/\(name)")
            }
            try fill()
        }

        /// What lies outside is as it was.
        func check() throws {
            XCTAssertEqual(Set(try outer.names()), ["shared", "other", "secret"])
            XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: outer.path("other")), ["secret"])
            for name in ["secret", "other/secret"] {
                XCTAssertEqual(try outer.bytes(name), ShareEscapeTests.secret)
                var found = stat()
                XCTAssertEqual(lstat(outer.path(name), &found), 0)
                XCTAssertEqual(found.st_nlink, 1)
                XCTAssertEqual(found.st_mode & 0o7000, 0)
            }
        }
    }

    func testNamesThatLeadElsewhere() throws {
        let bench = try Bench(try makeFolder())
        let client = try FUSEClient(try SharedFolder(path: bench.shared))
        let folder = try client.node("folder")
        for name in ["..", ".", "", "../secret", "/tmp", "folder/secret", "a/"] {
            let name = FUSEClient.name(name)
            XCTAssertEqual(try client.error(.lookup, node: folder, name), EINVAL)
            XCTAssertEqual(try client.error(.removeFile, node: folder, name), EINVAL)
            XCTAssertEqual(try client.error(.makeFolder, node: folder, FUSEClient.words([0o755, 0]) + name), EINVAL)
            XCTAssertEqual(
                try client.error(.create, node: folder, FUSEClient.words([1, 0o644, 0, 0]) + name), EINVAL)
            XCTAssertEqual(
                try client.error(
                    .rename, node: folder, FUSEClient.numbers([UInt64(1)]) + FUSEClient.name("secret") + name), EINVAL)
            XCTAssertEqual(try client.error(.makeLink, node: folder, name + FUSEClient.name("x")), EINVAL)
        }
        XCTAssertEqual(try client.error(.lookup, FUSEClient.name(String(repeating: "x", count: 256))), ENAMETOOLONG)
        XCTAssertEqual(try client.error(.lookup, Array("no end".utf8)), EINVAL)
        XCTAssertEqual(try client.error(.lookup, FUSEClient.name("file") + [0]), EINVAL, "something behind it")
        try bench.check()
    }

    func testLinksAreNotFollowed() throws {
        let bench = try Bench(try makeFolder())
        // No folder of the system's: a server that follows links would do there what a guest says.
        symlink(bench.outer.path("other"), bench.shared + "/elsewhere")
        symlink("../secret", bench.shared + "/link")
        let client = try FUSEClient(try SharedFolder(path: bench.shared))
        let (folder, file) = (try client.node("elsewhere"), try client.node("link"))
        XCTAssertEqual(try client.error(.lookup, node: folder, FUSEClient.name("secret")), ENOTDIR)
        XCTAssertEqual(try client.error(.openFolder, node: folder, FUSEClient.words([0, 0])), ENOTDIR)
        XCTAssertEqual(try client.error(.open, node: file, FUSEClient.words([0, 0])), ELOOP)
        let create = FUSEClient.words([UInt32(O_WRONLY | O_TRUNC), 0o644, 0, 0])
        XCTAssertEqual(try client.error(.create, create + FUSEClient.name("link")), EACCES)
        // A second name of a link is a link.
        let second = try client.must(.addName, FUSEClient.numbers([file]) + FUSEClient.name("second"))
        XCTAssertEqual(second.entry.mode & S_IFMT, S_IFLNK)
        try bench.check()
    }

    /// What the guest knows as a folder or a file, and somebody on the host replaces.
    func testWhatIsReplacedIsStale() throws {
        let bench = try Bench(try makeFolder())
        let client = try FUSEClient(try SharedFolder(path: bench.shared))
        let (folder, inside, file) = (
            try client.node("folder"), try client.node("folder/secret"), try client.node("file")
        )
        rename(bench.shared + "/folder", bench.shared + "/away")
        symlink(bench.outer.path("other"), bench.shared + "/folder")
        XCTAssertEqual(try client.error(.lookup, node: folder, FUSEClient.name("secret")), ESTALE)
        XCTAssertEqual(try client.error(.removeFile, node: folder, FUSEClient.name("secret")), ESTALE)
        for (operation, arguments): (FUSEOperation, [UInt8]) in [
            (.open, FUSEClient.words([0, 0])), (.getAttributes, FUSEClient.numbers([UInt64(0), 0])),
            (.setAttributes, FUSEClient.attributes([.mode], mode: 0o777)),
        ] {
            XCTAssertEqual(try client.error(operation, node: inside, arguments), ESTALE, "\(operation)")
        }
        // Under its new name it is the same.
        XCTAssertEqual(try client.node("away"), folder)
        XCTAssertEqual(try client.read(inside, try client.open(inside)), [4, 5, 6])
        // Another file of the same name.
        unlink(bench.shared + "/file")
        symlink("../secret", bench.shared + "/file")
        XCTAssertEqual(try client.error(.open, node: file, FUSEClient.words([0, 0])), ESTALE)
        XCTAssertEqual(
            try client.error(.setAttributes, node: file, FUSEClient.attributes([.size], size: 0)), ESTALE)
        // A folder that is moved out of the shared one.
        rename(bench.shared + "/away", bench.outer.path("other/away"))
        XCTAssertEqual(try client.error(.lookup, node: folder, FUSEClient.name("secret")), ESTALE)
        XCTAssertEqual(try client.error(.openFolder, node: folder, FUSEClient.words([0, 0])), ESTALE)
        rename(bench.outer.path("other/away"), bench.shared + "/away")
        try bench.check()
    }

    func testOtherFileSystemsAndDevicesAreNotEntered() throws {
        let root = try FUSEClient(try SharedFolder(path: "/", isReadOnly: true))
        XCTAssertEqual(try root.error(.lookup, FUSEClient.name("proc")), EXDEV)
        // Listed it is all the same.
        XCTAssertTrue(try root.names(isPlus: true).contains("proc"))
        let bench = try Bench(try makeFolder())
        mkfifo(bench.shared + "/pipe", 0o644)
        let client = try FUSEClient(try SharedFolder(path: bench.shared))
        let pipe = try client.node("pipe")
        // Nobody writes to it: to open it would wait, or be seen by who opens the other end.
        XCTAssertEqual(try client.error(.open, node: pipe, FUSEClient.words([0, 0])), EACCES)
        XCTAssertEqual(
            try client.error(.create, FUSEClient.words([1, 0o644, 0, 0]) + FUSEClient.name("pipe")), EACCES)
        XCTAssertEqual(open(bench.shared + "/pipe", O_WRONLY | O_NONBLOCK), -1, "nobody reads it")
    }

    func testDeepFolders() throws {
        let bench = try Bench(try makeFolder())
        let client = try FUSEClient(try SharedFolder(path: bench.shared))
        let name = String(repeating: "d", count: 250)
        var (node, depth): (UInt64, Int) = (1, 0)
        while true {
            let answer = try client.call(.makeFolder, node: node, FUSEClient.words([0o755, 0]) + FUSEClient.name(name))
            guard answer.error == 0 else {
                XCTAssertEqual(answer.error, ENAMETOOLONG)
                break
            }
            (node, depth) = (answer.node, depth + 1)
        }
        // 16 names of 250 bytes with a slash each are less than the 4095 of a path, and 17 are more.
        XCTAssertEqual(depth, 17, "one more than can be looked into")
    }

    /// Another process that puts a link in the place of a folder and a file again and again, while the guest reads.
    func testRaces() throws {
        try TestBed.skipWhereEmulated()
        let bench = try Bench(try makeFolder())
        let shared = bench.shared
        symlink(bench.outer.path("other"), shared + "/trap")
        symlink("../secret", shared + "/hook")
        let isOver = Atomic(false)
        let thread = try PosixThread(name: "swaps") {
            while !isOver.load(ordering: .relaxed) {
                // RENAME_EXCHANGE
                _ = ckvm_share_rename(AT_FDCWD, shared + "/folder", AT_FDCWD, shared + "/trap", 2)
                _ = ckvm_share_rename(AT_FDCWD, shared + "/file", AT_FDCWD, shared + "/hook", 2)
            }
        }
        let client = try FUSEClient(try SharedFolder(path: shared), mostNodes: 100)
        var reads = 0
        for _ in 0..<TestExtent.of(1000, exhaustive: 50_000) {
            for path in [["folder", "secret"], ["file"], ["trap", "secret"], ["hook"]] {
                var node: UInt64 = 1
                for name in path where node != 0 {
                    let answer = try client.call(.lookup, node: node, FUSEClient.name(name))
                    node = answer.error == 0 ? answer.node : 0
                }
                guard node != 0 else { continue }
                let answer = try client.call(.open, node: node, FUSEClient.words([UInt32(O_RDWR), 0]))
                guard answer.error == 0 else { continue }
                let bytes = try client.read(node, answer.handle, 64)
                XCTAssertNotEqual(bytes, Self.secret)
                try client.release(node, answer.handle)
                reads += 1
            }
        }
        isOver.store(true, ordering: .relaxed)
        thread.join()
        XCTAssertGreaterThan(reads, 10)
        try bench.check()
    }

    /// Requests of every kind with any arguments: short, long, lying about their length, with numbers that stand for
    /// nothing and names that lead elsewhere.
    func testHostileRequests() throws {
        try TestBed.skipWhereEmulated()
        let bench = try Bench(try makeFolder())
        // No folder of the system's: a server that follows links would do there what a guest says.
        symlink(bench.outer.path("other"), bench.shared + "/elsewhere")
        symlink("../secret", bench.shared + "/link")
        mkfifo(bench.shared + "/pipe", 0o644)
        let client = try FUSEClient(try SharedFolder(path: bench.shared), mostNodes: 40)
        var errors: [Int32: Int] = [:]
        // What the guest was given last, and may use.
        var (nodes, handles): ([UInt64], [UInt64]) = ([1], [1])
        for seed in 0..<TestExtent.of(UInt64(20_000), exhaustive: 200_000, total: 2_000_000) {
            var random = SeededGenerator(seed: seed)
            client.pieces = 1 + Int(random.next() & 3)
            let operation = random.next() % 54
            if operation == 38, random.next() & 15 != 0 { continue }
            let handle = handles[Int(random.next() % UInt64(handles.count))]
            var arguments = Self.arguments(operation, handle, &random)
            if random.next() & 15 == 0 { arguments = Array(arguments.prefix(Int(random.next() % 64))) }
            let length = random.next() & 31 == 0 ? UInt32(truncatingIfNeeded: random.next()) : nil
            let node = random.next() & 15 == 0 ? random.next() : nodes[Int(random.next() % UInt64(nodes.count))]
            var request = client.bytes(UInt32(operation), node: node, arguments, length: length)
            if random.next() & 31 == 0 { request = Array(request.prefix(Int(random.next() % 50))) }
            let room = random.next() & 7 == 0 ? Int(random.next() % 200) : 8192
            do {
                if let answer = try client.send(request, room: room) {
                    errors[answer.error, default: 0] += 1
                    if answer.error == 0 { Self.note(operation, answer, &nodes, &handles) }
                }
            } catch let fault as VirtqueueFault {
                XCTAssertEqual(fault, .request)
                XCTAssertTrue(request.count < 40 || room < 16, "seed \(seed)")
            }
            if client.server.minor == nil { _ = try client.must(.initialize, FUSEClient.initialize()) }
        }
        XCTAssertGreaterThan(errors[0] ?? 0, 1000, "some mean something")
        XCTAssertGreaterThan(errors.count, 12, "\(errors)")
        try bench.check()
        client.pieces = 1
        _ = try client.must(.initialize, FUSEClient.initialize())
        XCTAssertEqual(client.server.nodes.count, 1)
    }

    /// Keeps the last files that the guest was given, and the last that it has open.
    private static func note(
        _ operation: UInt64, _ answer: FUSEClient.Answer, _ nodes: inout [UInt64], _ handles: inout [UInt64]
    ) {
        switch operation {
        case 1, 6, 8, 9, 13, 35:
            if answer.node != 0 { nodes = nodes.suffix(7) + [answer.node, 1] }
            if operation == 35 { handles = handles.suffix(5) + [answer.number(at: 128)] }
        case 14, 27: handles = handles.suffix(5) + [answer.handle]
        default: break
        }
    }

    /// Arguments that are mostly of the right form.
    static func arguments(
        _ operation: UInt64, _ handle: UInt64, _ random: inout SeededGenerator
    ) -> [UInt8] {
        func number(_ random: inout SeededGenerator) -> UInt64 {
            [0, 1, 2, 4096, 1 << 20, 1 + random.next() % 30, 1 + random.next() % 8, 1 << 63, .max, random.next()][
                Int(random.next() % (random.next() & 3 == 0 ? 10 : 7))]
        }
        func name(_ random: inout SeededGenerator) -> [UInt8] {
            let names = [
                "file", "folder", "secret", "link", "elsewhere", "pipe", "a", "b", "c", "..", ".", "", "../secret",
                "/tmp/secret",
                "folder/..", String(repeating: "n", count: 255), String(repeating: "n", count: 256),
            ]
            return FUSEClient.name(names[Int(random.next() % (random.next() & 3 == 0 ? 17 : 9))])
        }
        func words(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
            FUSEClient.words((0..<count).map { _ in UInt32(truncatingIfNeeded: number(&random)) })
        }
        func mode(_ random: inout SeededGenerator) -> UInt32 {
            [0o100_644, 0o010_644, 0o020_644, 0o104_755][Int(random.next() & 3)]
        }
        switch operation {
        case 1, 10, 11: return name(&random)
        case 6: return name(&random) + name(&random)
        case 8: return FUSEClient.words([mode(&random), 0, 0, 0]) + name(&random)
        case 9: return FUSEClient.words([0o755, 0]) + name(&random)
        case 12: return FUSEClient.numbers([1 + random.next() % 8]) + name(&random) + name(&random)
        case 45:
            return FUSEClient.numbers([1 + random.next() % 8, random.next() & 7]) + name(&random) + name(&random)
        case 13: return FUSEClient.numbers([1 + random.next() % 30]) + name(&random)
        case 35: return FUSEClient.words([UInt32(random.next() & 0xfff), mode(&random), 0, 0]) + name(&random)
        case 14, 27: return FUSEClient.words([UInt32(random.next() & 0xfff), 0])
        case 16:
            let bytes = [UInt8](repeating: 9, count: Int(random.next() % 300))
            return FUSEClient.write(handle, at: number(&random) & 0xf_ffff, bytes)
        case 15, 28, 44: return FUSEClient.read(handle, at: number(&random), Int(random.next() % 9000))
        case 26: return FUSEClient.initialize(minor: 38)
        case 4:
            // No file grows to more than a MiB.
            return FUSEClient.attributes(
                FUSEAttributes(rawValue: UInt32(random.next() & 0x7ff)), handle: handle,
                size: number(&random) & 0xf_ffff, modified: number(&random), part: UInt32(random.next() >> 40),
                mode: UInt32(random.next() & 0xffff), user: UInt32(random.next() & 1), group: 0)
        case 43:
            return FUSEClient.numbers([handle, number(&random) & 0xf_ffff, number(&random) & 0xf_ffff])
                + FUSEClient.words([UInt32(random.next() & 0x3f), 0])
        case 18, 20, 25, 29, 30, 46: return FUSEClient.numbers([handle, number(&random), random.next() & 7])
        default: return words(Int(random.next() % 16), &random)
        }
    }
}
