@testable import Boot
@testable import Devices
import Foundation
@testable import Memory
@testable import TestSupport
import XCTest

/// The tables through Intel's own disassembler and compiler.
final class ACPIDisassemblyTests: XCTestCase {
    private static let candidates = ["/usr/bin/iasl", "/usr/local/bin/iasl", "/bin/iasl"]
    /// What iasl says, in whatever spelling, when something is not right.
    private static let complaints = ["warning", "error", "invalid", "unknown", "mismatch", "incorrect", "****"]

    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("acpi-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    /// Runs iasl in the folder, and returns all that it says.
    private func iasl(_ arguments: [String]) throws -> (status: Int32, output: String) {
        guard let path = Self.candidates.first(where: FileManager.default.isExecutableFile) else {
            throw XCTSkip("iasl is not installed (Debian: acpica-tools)")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    /// Writes each table to a file of its own, and returns the tables' names.
    private func write(_ tables: ACPITables) throws -> [String] {
        for table in tables.tables {
            let offset = Int(table.address.rawValue - tables.start.rawValue)
            let bytes = tables.bytes[offset..<(offset + table.byteCount)]
            try Data(bytes).write(to: folder.appendingPathComponent("\(table.name).dat"))
        }
        return tables.tables.map(\.name)
    }

    private func complaint(in text: String) -> String? {
        let lowercased = text.lowercased()
        return Self.complaints.first { lowercased.contains($0) }
    }

    func testEveryTableIsDisassembledWithoutComplaint() throws {
        for (vcpuCount, timerInput) in [(1, 0), (2, 2), (255, 0)] {
            let tables = try ACPITables.build(
                at: GuestPhysicalAddress(0xE0000),
                vcpuCount: vcpuCount,
                timerInput: UInt32(timerInput),
                describing: .standard()
            )
            // The RSDP is no table, and iasl refuses it as one; see the test for it below.
            for name in try write(tables) where name != "RSDP" {
                let (status, output) = try iasl(["-d", "\(name).dat"])
                XCTAssertEqual(status, 0, "\(name): \(output)")
                let source = try read("\(name).dsl")
                XCTAssertTrue(source.contains(name), name)
                XCTAssertNil(complaint(in: output + source), "\(name): \(output)\(source)")
            }
        }
    }

    /// The test above would be worth nothing if iasl never complained.
    func testDamageIsNoticed() throws {
        let tables = try ACPITables.build(at: GuestPhysicalAddress(0xE0000), vcpuCount: 2, describing: .standard())
        for name in try write(tables) where name != "RSDP" && name != "FACS" {
            let file = folder.appendingPathComponent("\(name).dat")
            var bytes = try Data(contentsOf: file)
            bytes[bytes.count - 1] ^= 0x10
            try bytes.write(to: file)
            let (_, output) = try iasl(["-d", "\(name).dat"])
            XCTAssertNotNil(complaint(in: output + (try read("\(name).dsl"))), name)
        }
    }

    func testDisassembledDSDTCompilesToTheSameBytes() throws {
        _ = try write(ACPITables.build(at: GuestPhysicalAddress(0xE0000), vcpuCount: 1, describing: .standard()))
        _ = try iasl(["-d", "DSDT.dat"])
        let source = try read("DSDT.dsl")
        for part in ["Device (COM1)", "(\"PNP0501\")", "IRQNoFlags ()", "{4}", "(\"PNP0B00\")", "Name (_S5"] {
            XCTAssertTrue(source.contains(part), part)
        }
        // Warnings are errors, and names stay as they are written.
        let (status, output) = try iasl(["-we", "-oa", "-p", "again", "DSDT.dsl"])
        XCTAssertEqual(status, 0, output)
        let original = try Data(contentsOf: folder.appendingPathComponent("DSDT.dat"))
        let again = try Data(contentsOf: folder.appendingPathComponent("again.aml"))
        // The compiler puts its own identity into the header, and the checksum changes with it.
        let headerSize = ACPITable.headerSize
        XCTAssertEqual(original.dropFirst(headerSize), again.dropFirst(headerSize))
    }

    /// iasl compiles an RSDP, checksums included, but disassembles none (github.com/open-acpica/acpica/issues/380).
    func testRSDPIsWhatTheCompilerMakes() throws {
        let tables = try ACPITables.build(at: GuestPhysicalAddress(0xE0000), vcpuCount: 1, describing: .standard())
        _ = try write(tables)
        let xsdt = try XCTUnwrap(tables.tables.first { $0.name == "XSDT" }).address.rawValue
        let source = """
            [0008] Signature : "RSD PTR "
            [0001] Checksum : 00
            [0006] Oem ID : "MINVMM"
            [0001] Revision : 02
            [0004] RSDT Address : 00000000
            [0004] Length : 00000024
            [0008] XSDT Address : \(String(xsdt, radix: 16))
            [0001] Extended Checksum : 00
            [0003] Reserved : 000000

            """
        try Data(source.utf8).write(to: folder.appendingPathComponent("again.asl"))
        let (status, output) = try iasl(["again.asl"])
        XCTAssertEqual(status, 0, output)
        XCTAssertEqual(
            try Data(contentsOf: folder.appendingPathComponent("RSDP.dat")),
            try Data(contentsOf: folder.appendingPathComponent("again.aml")),
            output
        )
    }

    private func read(_ name: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
    }
}
