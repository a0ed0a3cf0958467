@testable import Devices
@testable import TestSupport
import XCTest

/// The encoder against the grammar of ACPI 6.4, section 20.2.
final class AMLTests: XCTestCase {
    func testPackageLengths() throws {
        // The length counts itself; each row is the last or the first that needs so many bytes.
        let cases: [(content: Int, bytes: [UInt8])] = [
            (0, [0x01]), (1, [0x02]), (61, [0x3E]), (62, [0x3F]),
            (63, [0x41, 0x04]), (64, [0x42, 0x04]), (4_093, [0x4F, 0xFF]),
            (4_094, [0x81, 0x00, 0x01]), (1_048_572, [0x8F, 0xFF, 0xFF]),
            (1_048_573, [0xC1, 0x00, 0x00, 0x01]), ((1 << 28) - 5, [0xCF, 0xFF, 0xFF, 0xFF]),
        ]
        for (content, bytes) in cases {
            XCTAssertEqual(try AMLPackageLength.encoding(contentLength: content), bytes, "\(content)")
        }
        for content in [(1 << 28) - 4, Int.max - 1, Int.max] {
            XCTAssertThrowsError(try AMLPackageLength.encoding(contentLength: content)) { error in
                XCTAssertEqual(error as? ACPIError, .tooLong(byteCount: content))
            }
        }
    }

    func testPackageLengthsDecodeToWhatWasEncoded() throws {
        for content in (0...5_000).map({ $0 }) + [65_535, 65_536, 1_048_570, 1_048_580] {
            let bytes = try AMLPackageLength.encoding(contentLength: content)
            XCTAssertEqual(Int(bytes[0] >> 6), bytes.count - 1)
            var length = Int(bytes[0] & (bytes.count == 1 ? 0x3F : 0x0F))
            for (place, byte) in bytes.dropFirst().enumerated() { length |= Int(byte) << (4 + 8 * place) }
            XCTAssertEqual(length, content + bytes.count)
        }
    }

    func testIntegers() {
        let cases: [(UInt64, [UInt8])] = [
            (0, [0x00]), (1, [0x01]), (2, [0x0A, 0x02]), (255, [0x0A, 0xFF]),
            (256, [0x0B, 0x00, 0x01]), (65_535, [0x0B, 0xFF, 0xFF]),
            (65_536, [0x0C, 0x00, 0x00, 0x01, 0x00]), (0xFFFF_FFFF, [0x0C, 0xFF, 0xFF, 0xFF, 0xFF]),
            (0x1_0000_0000, [0x0E, 0, 0, 0, 0, 1, 0, 0, 0]), (.max, [0x0E] + [UInt8](repeating: 0xFF, count: 8)),
        ]
        for (value, bytes) in cases { XCTAssertEqual(AMLTerm.integer(value).bytes, bytes) }
    }

    func testNames() throws {
        let cases: [(String, String)] = [
            ("COM1", "COM1"), ("_S5", "_S5_"), ("A", "A___"), ("\\", "\\\0"), ("\\_SB", "\\_SB_"), ("^^_CRS", "^^_CRS"),
            ("\\_SB.COM1", "\\._SB_COM1"), ("_SB.PCI0.ISA", "/\u{3}_SB_PCI0ISA_"), ("^", "^\0"),
        ]
        for (name, encoding) in cases {
            XCTAssertEqual(try AMLName(name).bytes, Array(encoding.utf8), name)
        }
        for name in ["", "com1", "COM10", "1COM", "A.", ".A", "A..B", "Ä", "A B", "A^", "A\\B"] {
            XCTAssertThrowsError(try AMLName(name), name) { error in
                XCTAssertEqual(error as? ACPIError, .invalidName(name))
            }
        }
        XCTAssertNoThrow(try AMLName(Array(repeating: "A", count: 255).joined(separator: ".")))
        XCTAssertThrowsError(try AMLName(Array(repeating: "A", count: 256).joined(separator: ".")))
    }

    func testIdentities() throws {
        XCTAssertEqual(try AMLTerm.eisaID("PNP0501").bytes, [0x0C, 0x41, 0xD0, 0x05, 0x01])
        XCTAssertEqual(try AMLTerm.eisaID("PNP0A03").bytes, [0x0C, 0x41, 0xD0, 0x0A, 0x03])
        for identity in ["", "PNP", "PNP050", "PNP05011", "pnp0501", "PNP05G1", "PNP+501", "PN00501"] {
            XCTAssertThrowsError(try AMLTerm.eisaID(identity), identity)
        }
        XCTAssertEqual(try AMLTerm.identity("PNP0501"), try .eisaID("PNP0501"))
        XCTAssertEqual(try AMLTerm.identity("QEMU0001").bytes, [0x0D] + Array("QEMU0001".utf8) + [0])
        for identity in ["", "QEMU001", "QEMU00011", "qemu0001", "QEMU000G", "QEMU+001"] {
            XCTAssertThrowsError(try AMLTerm.identity(identity), identity)
        }
    }

    func testPackagesAndBuffers() throws {
        let five = AMLTerm.integer(5)
        let zero = AMLTerm.integer(0)
        let package = try AMLTerm.package([five, zero, zero, zero])
        XCTAssertEqual(package.bytes, [0x12, 0x07, 0x04, 0x0A, 0x05, 0x00, 0x00, 0x00])
        XCTAssertEqual(try AMLTerm.package([]).bytes, [0x12, 0x02, 0x00])
        XCTAssertThrowsError(try AMLTerm.package(Array(repeating: zero, count: 256)))
        XCTAssertEqual(try AMLTerm.buffer([1, 2, 3]).bytes, [0x11, 0x06, 0x0A, 0x03, 1, 2, 3])
    }

    func testResources() throws {
        let template = AMLResource.template([.ports(0x3F8...0x3FF), .interrupt(4)])
        XCTAssertEqual(template, [0x47, 1, 0xF8, 3, 0xF8, 3, 1, 8, 0x22, 0x10, 0x00, 0x79, 0])
        XCTAssertEqual(AMLResource.template([]), [0x79, 0])
        XCTAssertEqual(AMLResource.template([.interrupt(15)]), [0x22, 0x00, 0x80, 0x79, 0])
        XCTAssertEqual(AMLResource.template([.interrupt(16)]), [0x22, 0x00, 0x00, 0x79, 0])
    }

    func testNamespaces() throws {
        let value = AMLTerm.integer(1)
        XCTAssertEqual(try AMLTerm.name("X", value).bytes, [0x08] + Array("X___".utf8) + [0x01])
        let device = try AMLTerm.device("DEV", [.name("X", value)])
        XCTAssertEqual(device.bytes, [0x5B, 0x82, 0x0B] + Array("DEV_".utf8) + [0x08] + Array("X___".utf8) + [0x01])
        let scope = try AMLTerm.scope("\\_SB", [device])
        XCTAssertEqual(scope.bytes, [0x10, 0x13] + Array("\\_SB_".utf8) + device.bytes)
    }
}
