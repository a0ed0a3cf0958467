@testable import Host
@testable import TestSupport
import XCTest

/// Reading a processor's registers through the kernel's file, of which an ordinary file can take the place: a register's
/// number is its place there.
final class ProcessorMSRsTests: XCTestCase {
    func testRegistersStandAtTheirNumbers() throws {
        var bytes = [UInt8](repeating: 0, count: 0x481)
        bytes += [0x16, 0, 0, 0, 0x7f, 0, 0, 0]
        let path = try makeFolder().file("msr", bytes)
        let registers = try ProcessorMSRs(path: path)
        XCTAssertEqual(registers.read(0x481), 0x7f_0000_0016)
        // There are not eight bytes.
        XCTAssertNil(registers.read(0x482))
        XCTAssertNil(registers.read(0xc000_0080))
    }

    func testFilesThatCannotBeOpened() throws {
        func error(_ path: String) -> ProcessorMSRError? {
            do {
                _ = try ProcessorMSRs(path: path)
                return nil
            } catch {
                return error
            }
        }
        let missing = try makeFolder().path + "/msr"
        XCTAssertEqual(error(missing), .noFile(path: missing))
        XCTAssertEqual(error(missing)?.explanation, "\(missing) does not exist (ENOENT).")
        let file = try makeFolder().file("msr", [])
        XCTAssertEqual(error(file + "/x"), .unusable(path: file + "/x", ErrorNumber(rawValue: 20)))
    }
}
