@testable import Devices
@testable import Memory
@testable import TestSupport
import XCTest

final class ACPITablesTests: XCTestCase {
    private static let start = GuestPhysicalAddress(0xE0000)

    private func build(
        at start: GuestPhysicalAddress = start,
        vcpuCount: Int = 2,
        timerInput: UInt32 = 0
    ) throws -> ACPITables {
        try ACPITables.build(at: start, vcpuCount: vcpuCount, timerInput: timerInput, describing: .standard())
    }

    /// The bytes of a table.
    private func bytes(_ name: String, in tables: ACPITables) throws -> [UInt8] {
        let table = try XCTUnwrap(tables.tables.first { $0.name == name })
        let offset = Int(table.address.rawValue - tables.start.rawValue)
        return Array(tables.bytes[offset..<(offset + table.byteCount)])
    }

    private func integer<Value: FixedWidthInteger>(_ bytes: [UInt8], _ offset: Int, _: Value.Type) -> Value {
        bytes[offset..<(offset + Value.bitWidth / 8)].reversed().reduce(0) { $0 << 8 | Value($1) }
    }

    private func address(of name: String, in tables: ACPITables) throws -> UInt64 {
        try XCTUnwrap(tables.tables.first { $0.name == name }).address.rawValue
    }

    func testHeadersAndChecksums() throws {
        for vcpuCount in [1, 2, 3, 255] {
            let tables = try build(vcpuCount: vcpuCount)
            for name in ["DSDT", "FACP", "APIC", "XSDT"] {
                let table = try bytes(name, in: tables)
                XCTAssertEqual(table[..<4], Array(name.utf8)[...])
                XCTAssertEqual(integer(table, 4, UInt32.self), UInt32(table.count))
                XCTAssertEqual(table.reduce(0, &+), 0, name)
                XCTAssertEqual(table[10..<16], Array("MINVMM".utf8)[...])
            }
        }
    }

    func testTablesNameEachOther() throws {
        let tables = try build()
        XCTAssertEqual(tables.rsdp, Self.start)
        let rsdp = try bytes("RSDP", in: tables)
        XCTAssertEqual(rsdp[..<8], Array("RSD PTR ".utf8)[...])
        XCTAssertEqual(rsdp[..<20].reduce(0, &+), 0)
        XCTAssertEqual(rsdp.reduce(0, &+), 0)
        XCTAssertEqual(rsdp[15], 2)
        XCTAssertEqual(integer(rsdp, 20, UInt32.self), 36)
        XCTAssertEqual(integer(rsdp, 24, UInt64.self), try address(of: "XSDT", in: tables))
        let xsdt = try bytes("XSDT", in: tables)
        XCTAssertEqual(xsdt.count, 36 + 16)
        XCTAssertEqual(integer(xsdt, 36, UInt64.self), try address(of: "FACP", in: tables))
        XCTAssertEqual(integer(xsdt, 44, UInt64.self), try address(of: "APIC", in: tables))
        let fadt = try bytes("FACP", in: tables)
        XCTAssertEqual(UInt64(integer(fadt, 36, UInt32.self)), try address(of: "FACS", in: tables))
        XCTAssertEqual(UInt64(integer(fadt, 40, UInt32.self)), try address(of: "DSDT", in: tables))
        XCTAssertEqual(integer(fadt, 132, UInt64.self), 0)
        XCTAssertEqual(integer(fadt, 140, UInt64.self), try address(of: "DSDT", in: tables))
    }

    func testPlacesDoNotOverlapAndAreAligned() throws {
        for start: UInt64 in [0xE0000, 0xE0001, 0xE000F, 0x9FC30, 0x1234_5677] {
            let tables = try build(at: GuestPhysicalAddress(start))
            var free = start
            for table in tables.tables {
                XCTAssertGreaterThanOrEqual(table.address.rawValue, free)
                XCTAssertEqual(table.address.rawValue % (table.name == "FACS" ? 64 : 16), 0)
                free = table.address.rawValue + UInt64(table.byteCount)
            }
            XCTAssertEqual(free, start + UInt64(tables.bytes.count))
        }
    }

    func testFADT() throws {
        let fadt = try bytes("FACP", in: build())
        XCTAssertEqual(fadt.count, FADT.size)
        XCTAssertEqual(fadt[8], 6)
        XCTAssertEqual(integer(fadt, 46, UInt16.self), 9)
        XCTAssertEqual(integer(fadt, 56, UInt32.self), 0x600)
        XCTAssertEqual(integer(fadt, 64, UInt32.self), 0x604)
        XCTAssertEqual(integer(fadt, 76, UInt32.self), 0x608)
        XCTAssertEqual(fadt[88...91], [4, 2, 0, 4])
        XCTAssertEqual(fadt[108], 0x32)
        XCTAssertEqual(integer(fadt, 109, UInt16.self), 0x0005)
        XCTAssertEqual(integer(fadt, 112, UInt32.self), 0x1565)
        XCTAssertEqual(fadt[116..<128], [1, 8, 0, 1, 0xF9, 0x0C, 0, 0, 0, 0, 0, 0])
        XCTAssertEqual(fadt[128], 6)
        XCTAssertEqual(fadt[148..<160], [1, 32, 0, 2, 0x00, 0x06, 0, 0, 0, 0, 0, 0])
        XCTAssertEqual(fadt[172..<184], [1, 16, 0, 2, 0x04, 0x06, 0, 0, 0, 0, 0, 0])
        XCTAssertEqual(fadt[208..<220], [1, 32, 0, 3, 0x08, 0x06, 0, 0, 0, 0, 0, 0])
        XCTAssertTrue(fadt[220...].allSatisfy { $0 == 0 })
    }

    func testFACS() throws {
        let facs = try bytes("FACS", in: build())
        XCTAssertEqual(facs.count, 64)
        XCTAssertEqual(facs[..<4], Array("FACS".utf8)[...])
        XCTAssertEqual(integer(facs, 4, UInt32.self), 64)
        XCTAssertEqual(facs[32], 2)
    }

    func testMADT() throws {
        let madt = try bytes("APIC", in: build(vcpuCount: 3))
        XCTAssertEqual(integer(madt, 36, UInt32.self), 0xFEE0_0000)
        XCTAssertEqual(integer(madt, 40, UInt32.self), 1)
        let entries: [[UInt8]] = [
            [0, 8, 0, 0, 1, 0, 0, 0], [0, 8, 1, 1, 1, 0, 0, 0], [0, 8, 2, 2, 1, 0, 0, 0],
            [1, 12, 0, 0, 0x00, 0x00, 0xC0, 0xFE, 0, 0, 0, 0],
            [2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0],
            [4, 6, 0xFF, 0, 0, 1],
        ]
        XCTAssertEqual(Array(madt[44...]), entries.flatMap { $0 })
    }

    func testTimerInput() throws {
        let madt = try bytes("APIC", in: build(vcpuCount: 1, timerInput: 2))
        XCTAssertEqual(Array(madt[64..<74]), [2, 10, 0, 0, 2, 0, 0, 0, 0, 0])
        XCTAssertEqual(madt.count, 44 + 8 + 12 + 10 + 10 + 6)
    }

    func testImpossibleMachines() {
        for count in [0, -1, 256, Int.max, Int.min] {
            XCTAssertThrowsError(try build(vcpuCount: count)) { error in
                XCTAssertEqual(error as? ACPIError, .vcpuCount(count))
            }
        }
        for start: UInt64 in [0xFFFF_FFF0, 1 << 32, .max] {
            XCTAssertThrowsError(try build(at: GuestPhysicalAddress(start))) { error in
                XCTAssertEqual(error as? ACPIError, .outOfReach(GuestPhysicalAddress(start)))
            }
        }
    }
}
