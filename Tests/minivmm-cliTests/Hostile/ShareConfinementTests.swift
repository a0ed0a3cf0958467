@testable import CKVM
@testable import Devices
import Foundation
import Glibc
@testable import Host
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// What a confined process can do with the folders that its guest has, and with all others.
final class ShareConfinementTests: XCTestCase {
    static let variable = "MINIVMM_TEST_SHARE_CONFINEMENT"

    func testSharedFoldersAreAllThereIs() throws {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let folder = try makeFolder()
        for name in ["shared", "shared/sub", "fixed", "other"] { mkdir(folder.path(name), 0o755) }
        for name in ["shared/file", "fixed/file", "other/file"] { _ = try folder.file(name, [1, 2, 3]) }
        let environment = [Self.variable: folder.path, "SWIFT_BACKTRACE": "enable=no"]
        var spawn = try SpawnRequest(
            [program, "minivmm_cliTests.ShareConfinementChild/testRole"], environment: environment)
        try spawn.open("/dev/null", as: STDOUT_FILENO, flags: O_WRONLY)
        // 128 or more: a step was not as expected; SIGSYS: a call is on no list.
        XCTAssertEqual(try ChildProcess(&spawn, limit: 20).waitForEnd(), .exited(0))
        XCTAssertEqual(try folder.bytes("other/file"), [1, 2, 3])
        XCTAssertEqual(try folder.bytes("fixed/file"), [1, 2, 3])
        XCTAssertEqual(Set(try folder.names()), ["shared", "fixed", "other"])
    }
}

/// Not a test, but what such a process does.
final class ShareConfinementChild: XCTestCase {
    private var step: Int32 = 128
    /// Asked for before the filter is there.
    private let landlock = ckvm_landlock_version()

    /// Ends the process when something is not as it should be, with the number of the step.
    private func expect(_ isSo: Bool) {
        step += 1
        if !isSo { _exit(step) }
    }

    private func error(_ body: () throws -> Void) -> Int32 {
        do {
            try body()
            return 0
        } catch {
            return (error as? ErrorNumber)?.rawValue ?? -1
        }
    }

    private func name(_ text: String) -> [CChar] { Array(text.utf8).terminated }

    func testRole() throws {
        guard let path = ProcessInfo.processInfo.environment[ShareConfinementTests.variable] else { return }
        XCTAssertEqual(ckvm_give_up_new_privileges(), 0)
        let shared = try SharedFolder(path: path + "/shared")
        let fixed = try SharedFolder(path: path + "/fixed", isReadOnly: true)
        let outer = open(path, O_RDONLY | O_DIRECTORY)
        let shares = [shared, fixed]
        Confinement.keepFromWriting(outputs: [], kvmDevice: "/dev/null", shares: shares)
        Confinement.keepFromEverythingElse(outputs: [], shares: shares)
        try confineThread(UInt32(CKVM_MAY_SHARE | CKVM_MAY_CHANGE_SHARES))
        ckvm_share_own_umask()
        try use(shared)
        if landlock > 0 { lookElsewhere(outer) }
        try read(fixed)
        _exit(0)
    }

    /// Installs the process's filter on this thread alone: threads of the test library may call what is on no list.
    private func confineThread(_ permissions: UInt32) throws {
        var code = [sock_filter](repeating: sock_filter(), count: Int(CKVM_FILTER_CAPACITY))
        let count = ckvm_make_filter(CKVM_FILTER_PROCESS, permissions, &code)
        let symbol = try XCTUnwrap(dlsym(nil, "prctl"))
        // Swift imports no function of this kind. PR_SET_SECCOMP, SECCOMP_MODE_FILTER. Source: prctl(2).
        typealias Control = @convention(c) (Int32, UInt, UnsafeRawPointer?, UInt, UInt) -> Int32
        let result = code.withUnsafeMutableBufferPointer { filter in
            var program = sock_fprog(len: UInt16(max(0, count)), filter: filter.baseAddress)
            return unsafeBitCast(symbol, to: Control.self)(22, 2, &program, 0, 0)
        }
        guard count > 0, result == 0 else { _exit(127) }
    }

    /// Everything that a guest can do with a folder.
    private func use(_ shared: SharedFolder) throws {
        let root = shared.descriptor
        try shared.makeFolder(name("new"), in: root, mode: 0o755)
        let file = try shared.create(name("made"), in: root, flags: O_RDWR, mode: 0o666)
        expect(try shared.status(file.descriptor).found.mode == 0o100_666)
        try shared.setSize(100, of: file.descriptor)
        try shared.setMode(0o600, of: file.descriptor)
        try shared.setOwners(user: 0, group: 0, of: file.descriptor)
        try shared.setTimes((1, 2), (3, 4), of: file.descriptor)
        try shared.flush(file.descriptor, dataAlone: true)
        try shared.flush(file.descriptor, dataAlone: false)
        try shared.closeOnce(file.descriptor)
        expect(try shared.seek(file.descriptor, 0, 4) <= 100)
        // Not every file system can.
        _ = error { try shared.allocate(file.descriptor, mode: 0, offset: 0, size: 10) }
        try shared.makeNode(name("pipe"), in: root, mode: 0o010_644)
        try shared.makeLink(name("link"), in: root, target: name("file"))
        try shared.withPlace(name("link")) { place throws(ErrorNumber) in
            expect(try shared.target(of: place) == Array("file".utf8))
        }
        try shared.withPlace(name("sub")) { sub throws(ErrorNumber) in
            // From one folder to another, which Landlock allows from its second version on.
            let result = error {
                try shared.rename(name("file"), in: root, to: name("moved"), in: sub, flags: 0)
                try shared.withPlace(name("made")) { place throws(ErrorNumber) in
                    try shared.addName(name("second"), in: sub, to: place)
                }
                try shared.withPlace(name("moved"), in: sub) { place throws(ErrorNumber) in
                    let file = try shared.open(place, flags: O_RDWR)
                    expect(try shared.status(file.descriptor).found.size == 3)
                }
            }
            expect(result == (landlock == 1 ? EXDEV : 0))
        }
        for file in ["pipe", "link", "made"] { try shared.remove(name(file), in: root, isFolder: false) }
        try shared.remove(name("new"), in: root, isFolder: true)
        try shared.withPlace(name(".")) { place throws(ErrorNumber) in
            let folder = try shared.open(place, flags: O_RDONLY | O_DIRECTORY)
            expect(try shared.entries(of: folder.descriptor).count >= 3)
            try shared.flushSystem(folder.descriptor)
        }
        expect(try shared.statistics().name_length > 0)
    }

    /// A folder that can be read, and nothing else, whoever asks.
    private func read(_ fixed: SharedFolder) throws {
        try fixed.withPlace(name("file")) { place throws(ErrorNumber) in
            let file = try fixed.open(place, flags: O_RDWR)
            expect(try fixed.status(file.descriptor).found.size == 3)
            // Opened for reading, whatever was asked for.
            expect(ckvm_share_set_size(file.descriptor, 0) == -EINVAL)
        }
        guard landlock > 0 else { return }
        expect(ckvm_share_make_folder(fixed.descriptor, name("new"), 0o755) == -EACCES)
        expect(ckvm_share_remove(fixed.descriptor, name("file"), false) == -EACCES)
        expect(ckvm_share_below(fixed.descriptor, name("file"), O_RDWR, 0) == -EACCES)
    }

    /// What Landlock keeps from a process that has been taken over: it could ask the system by itself.
    private func lookElsewhere(_ outer: Int32) {
        expect(ckvm_share_below(outer, name("other/file"), O_RDONLY, 0) == -EACCES)
        expect(ckvm_share_below(outer, name("other/file"), O_WRONLY, 0) == -EACCES)
        expect(ckvm_share_below(outer, name("other"), O_RDONLY | O_DIRECTORY, 0) == -EACCES)
        expect(ckvm_share_make_folder(outer, name("new"), 0o755) == -EACCES)
        expect(ckvm_share_remove(outer, name("other/file"), false) == -EACCES)
        expect(ckvm_share_rename(outer, name("other/file"), outer, name("shared/x"), 0) < 0)
        expect(ckvm_share_rename(outer, name("shared/sub"), outer, name("other/sub"), 0) < 0)
    }
}
