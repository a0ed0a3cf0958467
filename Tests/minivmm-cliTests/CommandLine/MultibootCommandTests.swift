@testable import Boot
@testable import TestSupport
import XCTest

/// `minivmm run` with Multiboot kernels.
final class MultibootCommandTests: KVMTestCase {
    func testTheCommandLineAndModulesArrive() throws {
        let folder = try makeFolder()
        let kernel = try folder.file("k.flat", SampleMultiboot(code: SampleMultiboot.printer).bytes)
        let initrd = try folder.file("initrd", Array("first".utf8))
        let module = try folder.file("mod", Array("second".utf8))
        let run = try CommandLineRun([
            "run", kernel, "--append", "one two", "--initrd", initrd, "--module", "\(module):with: text", "--module",
            module, "--stats", "none",
        ])
        run.assertStatus(7)
        XCTAssertEqual(run.outputText, "k.flat one two\ninitrd first\nwith: text second\nmod second")
        XCTAssertEqual(run.errors, "")
    }

    func testMultiboot2() throws {
        try TestBed.skipWhereEmulated()
        let folder = try makeFolder()
        let sample = SampleMultiboot(version: .two, form: .addresses, address: 0x8000, code: SampleMultiboot.tagPrinter)
        let kernel = try folder.file("k.bin", sample.bytes)
        let module = try folder.file("mod", [1])
        let run = try CommandLineRun(["run", kernel, "--module", module, "--stats", "none"])
        run.assertStatus(7)
        XCTAssertEqual(run.outputText, "k.bin\nMiniVMM\nmod\n")
    }

    /// A kernel that names a counter leaf gets its answer; the bytes of a CPUID alone make no trap.
    func testCounterLeaves() throws {
        let asks: [UInt8] = [
            0xe6, 0xe9,  // out 0xe9, al
            0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
            0x0f, 0xa2,  // cpuid
            0xe6, 0xf4,  // out 0xf4, al
        ]
        let folder = try makeFolder()
        let kernel = try folder.file("k", SampleMultiboot(form: .elf64, code: asks).bytes)
        // The OUT, and the question itself.
        try CommandLineRun(["run", kernel, "--stats", "none"]).assertStatus(2)
        let run = try CommandLineRun(["run", kernel, "--stats", "none", "--cpuid-trap", "none"])
        run.assertStatus(0)
        // Leaf 0 in place of the counter leaf.
        let plain = asks.enumerated().map { index, byte in (3...6).contains(index) ? 0 : byte }
        let image = try folder.file("plain", SampleMultiboot(code: plain).bytes)
        let table = try CommandLineRun(["run", image])
        XCTAssertFalse(table.errors.contains("CPUID (SDM"), table.errors)
        XCTAssertTrue(table.errors.contains("none"), table.errors)
    }

    func testModulesAreForMultibootKernels() throws {
        try TestBed.skipWhereEmulated()
        let run = try CommandLineRun(["run", makeFolder().file("flat", TinyGuest.letter), "--module", "x"])
        run.assertStatus(64)
        XCTAssertTrue(run.errors.contains("--module is for a Multiboot kernel, and this guest is none."), run.errors)
    }
}
