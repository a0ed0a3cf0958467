@testable import Devices
import Foundation
import Glibc
@testable import Host
@testable import TestSupport
import XCTest

/// Shared folders by requests, without a guest: every operation, and what the host then has.
final class FUSEServerTests: XCTestCase {
    private func makeClient(
        _ folder: TemporaryFolder, isReadOnly: Bool = false, calls: ShareCalls = .live, mostNodes: Int = 1000
    ) throws -> FUSEClient {
        try FUSEClient(
            try SharedFolder(path: folder.path, isReadOnly: isReadOnly, calls: calls), mostNodes: mostNodes)
    }

    private func status(_ path: String) throws -> stat {
        var found = stat()
        guard lstat(path, &found) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        return found
    }

    func testTheStart() throws {
        let folder = try makeFolder()
        let client = try FUSEClient(try SharedFolder(path: folder.path), starts: false)
        XCTAssertEqual(try client.error(.getAttributes, FUSEClient.numbers([UInt64(0), 0])), EIO, "not started")
        XCTAssertEqual(try client.error(.initialize, FUSEClient.initialize(minor: 30)), EPROTO)
        XCTAssertEqual(try client.error(.initialize, FUSEClient.initialize(major: 8)), EPROTO)
        XCTAssertEqual(try client.error(.initialize, FUSEClient.initialize(), room: 79), EINVAL, "no room")
        for (minor, agreed, features, size, pages): (UInt32, UInt32, UInt32, UInt32, UInt16) in [
            (31, 31, 0, 1 << 17, 0), (36, 36, 1 << 22, 1 << 20, 256), (99, 38, .max, 1 << 20, 256),
        ] {
            let answer = try client.must(
                .initialize, FUSEClient.initialize(minor: minor, features: features))
            XCTAssertEqual(answer.bytes.count, 64)
            XCTAssertEqual([answer.number(at: 0), answer.number(at: 4)], [7, agreed])
            XCTAssertEqual(answer.number(at: 8, as: UInt32.self), 0x2_0000)
            // ASYNC_READ, ATOMIC_O_TRUNC, BIG_WRITES, AUTO_INVAL_DATA, DO_READDIRPLUS and its AUTO, PARALLEL_DIROPS,
            // MAX_PAGES
            XCTAssertEqual(answer.number(at: 12, as: UInt32.self), features & 0x44_7029)
            XCTAssertEqual(answer.number(at: 20, as: UInt32.self), size)
            XCTAssertEqual(answer.number(at: 28, as: UInt16.self), pages)
        }
        let (node, _) = try client.create("a")
        XCTAssertEqual(client.server.handleCount, 1)
        _ = try client.must(.destroy)
        XCTAssertEqual(client.server.handleCount, 0)
        XCTAssertEqual(try client.error(.lookup, FUSEClient.name("a")), EIO)
        _ = try client.must(.initialize, FUSEClient.initialize())
        XCTAssertEqual(try client.error(.getAttributes, node: node, FUSEClient.numbers([UInt64(0), 0])), ESTALE)
        // ACCESS, GETXATTR, IOCTL, a number that nothing has
        for operation: UInt32 in [34, 22, 39, 4096] {
            XCTAssertEqual(try client.send(client.bytes(operation, node: 1, []), room: 16)?.error, ENOSYS)
        }
    }

    func testNames() throws {
        let folder = try makeFolder()
        let client = try makeClient(folder)
        let made = try client.must(.makeFolder, FUSEClient.words([0o750, 0]) + FUSEClient.name("sub"))
        XCTAssertEqual(made.entry.mode & 0o177_777, 0o040_750 & ~currentMask)
        let file = try client.must(
            .makeNode, node: made.node, FUSEClient.words([0o100_600, 0, 0, 0]) + FUSEClient.name("file"))
        XCTAssertEqual([file.entry.mode, file.entry.links], [0o100_600, 1])
        XCTAssertEqual(try client.node("sub/file"), file.node)
        _ = try client.must(.makeNode, FUSEClient.words([0o010_644, 0, 0, 0]) + FUSEClient.name("pipe"))
        XCTAssertEqual(try status(folder.path("pipe")).st_mode & S_IFMT, S_IFIFO)
        // Devices and sockets are not made.
        for mode: UInt32 in [0o020_644, 0o060_644, 0o140_644, 0o644] {
            XCTAssertEqual(
                try client.error(.makeNode, FUSEClient.words([mode, 0x103, 0, 0]) + FUSEClient.name("node")), EPERM)
        }
        let link = try client.must(.makeLink, FUSEClient.name("link") + FUSEClient.name("sub/file"))
        XCTAssertEqual(link.entry.mode & S_IFMT, S_IFLNK)
        XCTAssertEqual(try client.must(.readLink, node: link.node).bytes, Array("sub/file".utf8))
        XCTAssertEqual(try client.error(.readLink, node: link.node, room: 20), EINVAL)
        XCTAssertEqual(try client.error(.readLink, node: file.node), EINVAL)
        let second = try client.must(.addName, FUSEClient.numbers([file.node]) + FUSEClient.name("second"))
        XCTAssertEqual(second.node, file.node)
        XCTAssertEqual(second.entry.links, 2)
        XCTAssertEqual(
            try client.error(.addName, FUSEClient.numbers([made.node]) + FUSEClient.name("x")), EPERM, "a folder")
        XCTAssertEqual(Set(try folder.names()), ["sub", "pipe", "link", "second"])

        let nothing = try client.lookUp("none")
        XCTAssertEqual(nothing.node, 0)
        XCTAssertEqual(nothing.number(at: 16, as: UInt64.self), 1, "the guest may believe it for a second")
        XCTAssertEqual(try client.error(.removeFile, FUSEClient.name("none")), ENOENT)
        XCTAssertEqual(try client.error(.removeFile, FUSEClient.name("sub")), EISDIR)
        XCTAssertEqual(try client.error(.removeFolder, FUSEClient.name("sub")), ENOTEMPTY)
        XCTAssertEqual(try client.error(.lookup, node: file.node, FUSEClient.name("x")), ENOTDIR)
        for name in ["pipe", "link", "second"] { _ = try client.must(.removeFile, FUSEClient.name(name)) }
        _ = try client.must(.removeFile, node: made.node, FUSEClient.name("file"))
        _ = try client.must(.removeFolder, FUSEClient.name("sub"))
        XCTAssertEqual(try folder.names(), [])
    }

    /// The umask of this process, which a share's own thread does not have.
    private var currentMask: UInt32 {
        let mask = umask(0)
        umask(mask)
        return mask
    }

    func testRenaming() throws {
        let folder = try makeFolder()
        for name in ["a", "b"] { _ = try folder.file(name, Array(name.utf8)) }
        mkdir(folder.path("sub"), 0o755)
        let client = try makeClient(folder)
        let (first, second, sub) = (try client.node("a"), try client.node("b"), try client.node("sub"))
        func rename(_ name: String, _ parent: UInt64, _ newName: String, flags: UInt32 = 0) throws -> Int32 {
            try client.error(
                .renameWithFlags,
                FUSEClient.numbers([parent]) + FUSEClient.words([flags, 0]) + FUSEClient.name(name)
                    + FUSEClient.name(newName))
        }
        XCTAssertEqual(try rename("a", 1, "b", flags: 1), EEXIST)
        XCTAssertEqual(try rename("a", 1, "b", flags: 2), 0)
        XCTAssertEqual(try folder.bytes("a"), Array("b".utf8))
        // The nodes are the files still, under their new names.
        let handle = try client.open(first)
        XCTAssertEqual(try client.read(first, handle), Array("a".utf8))
        XCTAssertEqual(try client.node("a"), second)
        XCTAssertEqual(try rename("a", 1, "b", flags: 4), EINVAL, "RENAME_WHITEOUT")
        XCTAssertEqual(try rename("a", sub, "c"), 0)
        _ = try client.must(
            .rename, FUSEClient.numbers([UInt64(1)]) + FUSEClient.name("sub") + FUSEClient.name("folder"))
        XCTAssertEqual(try folder.bytes("folder/c"), Array("b".utf8))
        // What lies in a folder that was renamed is found.
        let moved = try client.open(second)
        XCTAssertEqual(try client.read(second, moved), Array("b".utf8))
        XCTAssertEqual(try rename("none", 1, "x"), ENOENT)
        XCTAssertEqual(try rename("folder", sub, "x"), EINVAL, "a folder into itself")
    }

    func testFiles() throws {
        let folder = try makeFolder()
        for pieces in [1, 3] {
            let client = try makeClient(folder)
            client.pieces = pieces
            let (node, handle) = try client.create("file", flags: O_RDWR | (pieces == 1 ? O_EXCL : 0))
            let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
            XCTAssertEqual(try client.write(node, handle, at: 0, bytes), bytes.count)
            XCTAssertEqual(try folder.bytes("file"), bytes)
            XCTAssertEqual(try client.read(node, handle, at: 1000, 5000), Array(bytes[1000..<6000]))
            XCTAssertEqual(try client.read(node, handle, at: 299_000, 5000), Array(bytes[299_000...]))
            XCTAssertEqual(try client.read(node, handle, at: 400_000, 5000), [])
            XCTAssertEqual(try client.attributes(node).size, 300_000)
            let exclusive = FUSEClient.words([UInt32(O_RDWR | O_EXCL), 0o644, 0, 0])
            XCTAssertEqual(try client.error(.create, exclusive + FUSEClient.name("file")), EEXIST)
            // Without O_EXCL, one that is there is opened.
            let again = try client.create("file", flags: O_WRONLY | O_APPEND)
            XCTAssertEqual(again.node, node)
            XCTAssertEqual(try client.write(node, again.handle, at: 0, [42]), 1)
            XCTAssertEqual(try folder.bytes("file").last, 42)
            XCTAssertEqual(
                try client.error(.read, node: node, FUSEClient.read(again.handle, at: 0, 10), room: 100), EBADF,
                "opened to be written")
            _ = try client.must(.flush, node: node, FUSEClient.numbers([again.handle, 0, 0]))
            for flags: UInt32 in [0, 1] {
                _ = try client.must(
                    .synchronize, node: node, FUSEClient.numbers([handle]) + FUSEClient.words([flags, 0]))
            }
            let truncated = try client.open(node, flags: O_WRONLY | O_TRUNC)
            XCTAssertEqual(try client.attributes(node).size, 0)
            for open in [handle, again.handle, truncated] { try client.release(node, open) }
            XCTAssertEqual(try client.error(.release, node: node, FUSEClient.numbers([handle, 0, 0])), EBADF)
            XCTAssertEqual(client.server.handleCount, 0)
        }
    }

    func testWhatLinuxSays() throws {
        let folder = try makeFolder()
        let client = try makeClient(folder)
        let (node, handle) = try client.create("file")
        func allocate(_ mode: UInt32, _ offset: UInt64, _ size: UInt64) throws -> Int32 {
            try client.error(
                .allocate, node: node, FUSEClient.numbers([handle, offset, size]) + FUSEClient.words([mode, 0]))
        }
        XCTAssertEqual(try allocate(0, 0, 8192), 0)
        XCTAssertEqual(try status(folder.path("file")).st_size, 8192)
        XCTAssertEqual(try allocate(8, 0, 4096), EOPNOTSUPP, "FALLOC_FL_COLLAPSE_RANGE")
        XCTAssertEqual(try allocate(0, .max, 1), EINVAL)
        let reading = try client.open(node)
        XCTAssertEqual(
            try client.error(
                .allocate, node: node, FUSEClient.numbers([reading, 0, 8192]) + FUSEClient.words([0, 0])), EBADF)
        XCTAssertEqual(try client.error(.write, node: node, FUSEClient.write(reading, at: 0, [1])), EBADF)
        // A length that is not that of the data, and offsets that no file has.
        XCTAssertEqual(try client.error(.write, node: node, FUSEClient.write(handle, at: 0, [1, 2], size: 1)), EINVAL)
        XCTAssertEqual(try client.error(.write, node: node, FUSEClient.write(handle, at: 1 << 63, [1])), EINVAL)
        // More than was agreed upon.
        let long = [UInt8](repeating: 1, count: (1 << 20) + 1)
        XCTAssertEqual(try client.error(.write, node: node, FUSEClient.write(handle, at: 0, long)), EINVAL)
        XCTAssertEqual(try client.error(.write, node: node, FUSEClient.write(handle, at: (1 << 63) - 1, [1])), EINVAL)
        XCTAssertEqual(try client.error(.read, node: node, FUSEClient.read(handle, at: .max, 1)), EINVAL)

        _ = try client.must(
            .setAttributes, node: node, FUSEClient.attributes([.size, .handle], handle: handle, size: 1 << 20))
        func seek(_ offset: UInt64, _ whence: UInt32) throws -> FUSEClient.Answer {
            try client.call(
                .seek, node: node, FUSEClient.numbers([handle, offset]) + FUSEClient.words([whence, 0]))
        }
        XCTAssertEqual(try client.read(node, handle, at: 0, 3 << 19).count, 1 << 20)
        // SEEK_HOLE finds one at the end at the latest.
        XCTAssertLessThanOrEqual(try seek(0, 4).number(at: 0, as: UInt64.self), 1 << 20)
        XCTAssertEqual(try seek(2 << 20, 3).error, ENXIO)
        XCTAssertEqual(try seek(0, 0).error, EINVAL, "SEEK_SET")
        let system = try client.must(.statistics).bytes
        XCTAssertEqual(system.count, 80)
        XCTAssertEqual(system.littleEndian(at: 44, as: UInt32.self), 255)
        XCTAssertEqual(try client.error(.synchronizeAll, FUSEClient.numbers([UInt64(0)])), 0)
    }

    func testFilesWithoutANameAreOpenStill() throws {
        let folder = try makeFolder()
        let client = try makeClient(folder)
        let (node, handle) = try client.create("file")
        XCTAssertEqual(try client.write(node, handle, at: 0, [1, 2, 3]), 3)
        _ = try client.must(.removeFile, FUSEClient.name("file"))
        XCTAssertEqual(try client.attributes(node).size, 3)
        XCTAssertEqual(try client.attributes(node).links, 0)
        let again = try client.open(node)
        try client.release(node, handle)
        XCTAssertEqual(try client.read(node, again), [1, 2, 3])
        _ = try client.must(.setAttributes, node: node, FUSEClient.attributes([.mode], mode: 0o600))
        XCTAssertEqual(try client.attributes(node).mode, 0o100_600)
        try client.release(node, again)
        XCTAssertEqual(try client.error(.getAttributes, node: node, FUSEClient.numbers([UInt64(0), 0])), ESTALE)
        XCTAssertEqual(try client.error(.open, node: node, FUSEClient.words([0, 0])), ESTALE)
    }

    func testAttributes() throws {
        let folder = try makeFolder()
        let path = try folder.file("file", [1, 2, 3, 4])
        let client = try makeClient(folder)
        let node = try client.node("file")
        func set(_ arguments: [UInt8]) throws -> FUSEClient.Attributes {
            try client.must(.setAttributes, node: node, arguments).attributes
        }
        // Without the bits by which a program would run as its owner.
        XCTAssertEqual(try set(FUSEClient.attributes([.mode], mode: 0o7751)).mode, 0o101_751)
        XCTAssertEqual(try status(path).st_mode, 0o101_751)
        XCTAssertEqual(try set(FUSEClient.attributes([.size], size: 2)).size, 2)
        XCTAssertEqual(try folder.bytes("file"), [1, 2])
        let times = try set(FUSEClient.attributes([.changeTime], modified: 1_000_000_000, part: 5))
        XCTAssertEqual([times.modified, UInt64(times.modifiedPart)], [1_000_000_000, 5])
        let now = try set(FUSEClient.attributes([.changeTime, .changeTimeNow], modified: 5))
        XCTAssertGreaterThan(now.modified, 1_000_000_000)
        // To the guest's root, whom everything belongs to that is the user's.
        let owned = try set(FUSEClient.attributes([.user, .group], user: 0, group: 0))
        XCTAssertEqual([owned.user, owned.group], [0, 0])
        XCTAssertEqual(try status(path).st_uid, geteuid())
        XCTAssertEqual(try client.error(.setAttributes, FUSEClient.attributes([.size], size: 1)), EINVAL, "a folder")
        XCTAssertEqual(
            try client.error(.setAttributes, node: node, FUSEClient.attributes([.size], size: .max)), EINVAL)
        let elsewhere = try makeFolder().file("file", [7])
        symlink(elsewhere, folder.path("link"))
        let link = try client.node("link")
        let before = try status(elsewhere)
        XCTAssertEqual(
            try client.error(.setAttributes, node: link, FUSEClient.attributes([.mode], mode: 0o777)), EOPNOTSUPP)
        XCTAssertEqual(
            try client.error(.setAttributes, node: link, FUSEClient.attributes([.size], size: 0)), EINVAL)
        let linkTimes = try client.must(
            .setAttributes, node: link, FUSEClient.attributes([.changeTime], modified: 7)
        ).attributes
        XCTAssertEqual(linkTimes.modified, 7, "the link's own")
        let after = try status(elsewhere)
        XCTAssertEqual([after.st_mtim.tv_sec, after.st_ctim.tv_sec], [before.st_mtim.tv_sec, before.st_ctim.tv_sec])
    }

    func testOwners() {
        var owners = FileOwners()
        (owners.user, owners.group) = (1000, 100)
        XCTAssertEqual([1000, 0, 7, 65534].map(owners.inGuest(user:)), [0, 65534, 7, 65534])
        XCTAssertEqual([0, 1000, 7].map(owners.onHost(user:)), [1000, 1000, 7])
        XCTAssertEqual([100, 0, 7].map(owners.inGuest(group:)), [0, 65534, 7])
        XCTAssertEqual(owners.onHost(group: 0), 100)
        (owners.user, owners.group) = (0, 0)
        XCTAssertEqual([0, 1000].map(owners.inGuest(user:)), [0, 1000])
    }

    func testFoldersOfManyNames() throws {
        let folder = try makeFolder()
        let expected = (0..<300).map { "name-\($0)-" + String(repeating: "x", count: $0 % 100) }
        for name in expected { _ = try folder.file(name, []) }
        let client = try makeClient(folder)
        for (room, isPlus) in [(4096, false), (300, false), (1 << 17, false), (4096, true), (500, true)] {
            let names = try client.names(room: room, isPlus: isPlus)
            XCTAssertEqual(names.count, 302, "each once, at \(room)")
            XCTAssertEqual(Set(names), Set(expected + [".", ".."]))
        }
        // What READDIRPLUS gave has to be forgotten, each time that it was given.
        XCTAssertEqual(client.server.nodes.count, 301)
        for name in expected {
            let node = try client.node(name)
            try client.forget(node, 3)
        }
        XCTAssertEqual(client.server.nodes.count, 1)
        XCTAssertThrowsError(try client.names(room: 30)) {
            XCTAssertEqual(($0 as? FUSEClient.Failure)?.error, EINVAL, "not one name fits")
        }
        // What lies above the shared folder is not told.
        let handle = try client.must(.openFolder, FUSEClient.words([0, 0])).handle
        let bytes = try client.must(.readFolder, FUSEClient.read(handle, at: 0, 1 << 16), room: 1 << 17).bytes
        let above = try status(folder.path + "/..").st_ino
        var place = 0
        while place < bytes.count {
            XCTAssertNotEqual(bytes.littleEndian(at: place, as: UInt64.self), UInt64(above))
            place += (24 + Int(bytes.littleEndian(at: place + 16, as: UInt32.self)) + 7) / 8 * 8
        }
        XCTAssertEqual(try client.error(.readFolder, FUSEClient.read(handle, at: .max, 4096)), EINVAL, "no such place")
        _ = try client.must(.synchronizeFolder, FUSEClient.numbers([handle]) + FUSEClient.words([0, 0]))
        XCTAssertEqual(try client.error(.open, FUSEClient.words([0, 0])), EISDIR)
        XCTAssertEqual(try client.error(.read, FUSEClient.read(handle, at: 0, 10), room: 100), EBADF)
    }

    func testForgetting() throws {
        let folder = try makeFolder()
        for name in ["a", "b", "c"] { _ = try folder.file(name, []) }
        let client = try makeClient(folder, mostNodes: 3)
        let (first, second) = (try client.node("a"), try client.node("b"))
        XCTAssertEqual(try client.error(.lookup, FUSEClient.name("c")), ENFILE)
        XCTAssertEqual(try client.error(.makeFolder, FUSEClient.words([0o755, 0]) + FUSEClient.name("d")), ENFILE)
        XCTAssertEqual(Set(try folder.names()), ["a", "b", "c"], "nothing was made")
        // One by FORGET, which is open still, then all by BATCH_FORGET.
        let handle = try client.open(first)
        try client.forget(first)
        XCTAssertEqual(client.server.nodes.count, 3)
        try client.release(first, handle)
        XCTAssertEqual(client.server.nodes.count, 2)
        _ = try client.node("c")
        let all = [second, 1, 1, 1, 999, 1, second, 1]
        XCTAssertNil(
            try client.send(client.bytes(42, node: 0, FUSEClient.words([4, 0]) + FUSEClient.numbers(all)), room: 0))
        XCTAssertEqual(client.server.nodes.count, 2)
        // A number that nothing stands for is no crash, and so is the root.
        try client.forget(7777, .max)
        try client.forget(1, .max)
        XCTAssertNotEqual(try client.node("a"), first, "no number is used again")
    }

    func testReadOnly() throws {
        let folder = try makeFolder()
        _ = try folder.file("file", [1, 2, 3])
        let client = try makeClient(folder, isReadOnly: true)
        let node = try client.node("file")
        let handle = try client.open(node)
        XCTAssertEqual(try client.read(node, handle), [1, 2, 3])
        XCTAssertEqual(try client.names().count, 3)
        for flags in [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC] {
            XCTAssertEqual(try client.error(.open, node: node, FUSEClient.words([UInt32(flags), 0])), EROFS)
        }
        let name = FUSEClient.name("new")
        for (operation, node, arguments): (FUSEOperation, UInt64, [UInt8]) in [
            (.makeFolder, 1, FUSEClient.words([0o755, 0]) + name),
            (.makeNode, 1, FUSEClient.words([0o100_644, 0, 0, 0]) + name),
            (.makeLink, 1, name + name), (.addName, 1, FUSEClient.numbers([node]) + name),
            (.create, 1, FUSEClient.words([0, 0o644, 0, 0]) + name), (.removeFile, 1, FUSEClient.name("file")),
            (.removeFolder, 1, name), (.rename, 1, FUSEClient.numbers([UInt64(1)]) + FUSEClient.name("file") + name),
            (.renameWithFlags, 1, FUSEClient.numbers([UInt64(1), 0]) + FUSEClient.name("file") + name),
            (.setAttributes, node, FUSEClient.attributes([.mode], mode: 0)),
            (.write, node, FUSEClient.write(handle, at: 0, [9])),
            (.allocate, node, FUSEClient.numbers([handle, 0, 4096, 0])),
        ] {
            XCTAssertTrue(operation.isChange)
            XCTAssertEqual(try client.error(operation, node: node, arguments), EROFS, "\(operation)")
        }
        XCTAssertEqual(try folder.names(), ["file"])
        XCTAssertEqual(try folder.bytes("file"), [1, 2, 3])
        XCTAssertEqual(try status(folder.path("file")).st_mode & 0o777, 0o644 & ~currentMask)
        // The folder itself refuses as well, whatever asks it.
        let share = try SharedFolder(path: folder.path, isReadOnly: true)
        XCTAssertThrowsError(try share.makeFolder("x".utf8.map(Int8.init) + [0], in: share.descriptor, mode: 0o755)) {
            XCTAssertEqual(($0 as? ErrorNumber)?.rawValue, EROFS)
        }
    }

    func testErrorsOfTheHost() throws {
        let folder = try makeFolder()
        _ = try folder.file("file", [1, 2, 3])
        var calls = ShareCalls()
        calls.read = { _, _, _, _ in -Int(EIO) }
        calls.write = { _, _, _, offset in offset < 2 ? 1 : -Int(ENOSPC) }
        calls.flush = { _, _ in -EDQUOT }
        calls.allocate = { _, _, _, _ in -ENOSPC }
        let client = try makeClient(folder, calls: calls)
        let node = try client.node("file")
        let handle = try client.open(node, flags: O_RDWR)
        XCTAssertEqual(try client.error(.read, node: node, FUSEClient.read(handle, at: 0, 3)), EIO)
        XCTAssertEqual(try client.write(node, handle, at: 0, [1, 2, 3]), 2, "what was written counts")
        XCTAssertEqual(try client.error(.write, node: node, FUSEClient.write(handle, at: 2, [1])), ENOSPC)
        XCTAssertEqual(
            try client.error(.synchronize, node: node, FUSEClient.numbers([handle, 0])), EDQUOT)
        XCTAssertEqual(
            try client.error(.allocate, node: node, FUSEClient.numbers([handle, 0, 4096, 0])), ENOSPC)
    }

    /// A guest that opens more files than this process may have is told so, and nothing else.
    func testTooManyOpenFiles() throws {
        let folder = try makeFolder()
        _ = try folder.file("file", [1])
        let client = try makeClient(folder)
        let node = try client.node("file")
        var (old, lowered) = (rlimit(), rlimit())
        XCTAssertEqual(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old), 0)
        let probe = dup(0)
        lowered.rlim_max = old.rlim_max
        lowered.rlim_cur = rlim_t(probe + 8)
        close(probe)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &lowered)
        var (handles, error): ([UInt64], Int32) = ([], 0)
        while error == 0, handles.count < 1000 {
            let answer = try client.call(.open, node: node, FUSEClient.words([0, 0]))
            error = answer.error
            if error == 0 { handles.append(answer.handle) }
        }
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old)
        XCTAssertEqual(error, EMFILE)
        XCTAssertGreaterThan(handles.count, 2)
        for handle in handles { try client.release(node, handle) }
        XCTAssertEqual(try client.read(node, try client.open(node)), [1])
    }

    func testFoldersThatCannotBeShared() throws {
        let folder = try makeFolder()
        let file = try folder.file("file", [])
        func error(_ path: String) -> ShareError? {
            do {
                _ = try SharedFolder(path: path)
                return nil
            } catch {
                return error
            }
        }
        XCTAssertEqual(error(file), .notAFolder(path: file))
        XCTAssertEqual(error(folder.path("none")), .notUsable(path: folder.path("none"), .noSuchFile))
        XCTAssertNil(error(folder.path))
    }
}
