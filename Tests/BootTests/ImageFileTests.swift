@testable import Boot
import CKVM
import Foundation
@testable import Host
@testable import TestSupport
import XCTest
@testable import minivmm_cli

final class ImageFileTests: XCTestCase {
    private var directory = ""

    override func setUpWithError() throws {
        directory = NSTemporaryDirectory() + "minivmm-image-file-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(atPath: directory)
    }

    private func file(_ bytes: [UInt8]) throws -> String {
        let path = directory + "/image"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func error(reading path: String, limit: UInt64 = ImageFile.defaultLimit) -> ImageError? {
        do {
            _ = try ImageFile(reading: path, limit: limit)
            return nil
        } catch {
            return error
        }
    }

    func testReadsAFileWhole() throws {
        // Around the size of the first read, which asks for one byte more than the file has.
        for count in [1, 511, 0xffff, 0x1_0000, 0x1_0001, 300_000] {
            let bytes = SampleBzImage.pattern(count: count)
            XCTAssertEqual(try ImageFile(reading: file(bytes)).bytes, bytes)
        }
    }

    func testReadsAFileOfExactlyTheLimit() throws {
        XCTAssertEqual(try ImageFile(reading: file([1, 2, 3, 4]), limit: 4).bytes, [1, 2, 3, 4])
    }

    func testRefusesAFileOverTheLimit() throws {
        let path = try file([1, 2, 3, 4, 5])
        XCTAssertEqual(error(reading: path, limit: 4), .oversized(path: path, size: 5, limit: 4))
    }

    func testRefusesAnEmptyFile() throws {
        let path = try file([])
        XCTAssertEqual(error(reading: path), .empty(path: path))
    }

    func testRefusesWhatIsNotThere() {
        let path = directory + "/none"
        XCTAssertEqual(error(reading: path), .unreadable(path: path, .noSuchFile))
        XCTAssertEqual(error(reading: path)?.exitStatus, .imageNotReadable)
    }

    func testRefusesWhatIsNoFile() {
        XCTAssertEqual(error(reading: directory), .notAFile(path: directory, kind: "a directory"))
        XCTAssertEqual(error(reading: "/dev/zero"), .notAFile(path: "/dev/zero", kind: "a character device"))
    }

    func testReadsAFileThatStatesNoSize() throws {
        XCTAssertFalse(try ImageFile(reading: "/proc/self/maps").bytes.isEmpty)
    }

    func testReadsAPipeAndLimitsIt() throws {
        let bytes = SampleBzImage.pattern(count: 200_000)
        for limit: UInt64 in [200_000, 199_999] {
            let path = directory + "/pipe\(limit)"
            XCTAssertEqual(mkfifo(path, 0o600), 0)
            let thread = Thread {
                // The reader may have gone: the rest of what is written is then of no interest.
                signal(SIGPIPE, SIG_IGN)
                let descriptor = ckvm_open(path, O_WRONLY)
                _ = bytes.withUnsafeBytes { ckvm_write(descriptor, $0.baseAddress, $0.count) }
                _ = ckvm_close(descriptor)
            }
            thread.start()
            if limit == 200_000 {
                XCTAssertEqual(try ImageFile(reading: path, limit: limit).bytes, bytes)
            } else {
                XCTAssertEqual(error(reading: path, limit: limit), .oversized(path: path, size: nil, limit: limit))
            }
        }
    }
}
