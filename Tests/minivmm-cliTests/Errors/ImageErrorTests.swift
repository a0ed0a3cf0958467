import Foundation
@testable import TestSupport
import XCTest
@testable import minivmm_cli

/// Images that `minivmm run` does not take: what it says, and status 65 or 66.
final class ImageErrorTests: XCTestCase {
    private func check(_ path: String, _ status: Int32, says words: String, remedy: String, line: UInt = #line) throws {
        let run = try CommandLineRun(["run", path])
        run.assertStatus(status, line: line)
        XCTAssertEqual(run.output, [], line: line)
        XCTAssertEqual(run.errors, "minivmm: \(path) \(words)\n\(remedy)\n", line: line)
    }

    private static let accepted =
        "a bzImage kernel, an ELF kernel for x86-64 with a PVH note, a Multiboot kernel, or a flat 16-bit image"

    func testMissingFile() throws {
        try check(
            "/nonexistent/image", 66, says: "cannot be read (ENOENT: No such file or directory).",
            remedy: "Check the path, and the permissions with `ls -l`.")
    }

    func testUnreadableFile() throws {
        // Root may read every file, but nobody may read a process's memory at address 0.
        try check(
            "/proc/self/mem", 66, says: "cannot be read (EIO: Input/output error).",
            remedy: "Check the path, and the permissions with `ls -l`.")
    }

    func testFolder() throws {
        let folder = try makeFolder()
        try check(folder.path, 66, says: "is a directory, not a file.", remedy: "Give the path of \(Self.accepted).")
    }

    func testDevice() throws {
        try check(
            "/dev/zero", 66, says: "is a character device, not a file.",
            remedy: "Give the path of \(Self.accepted).")
    }

    func testEmptyFile() throws {
        try check(
            makeFolder().file("empty.bin", []), 65, says: "is empty.", remedy: "Build or download the file again.")
    }

    func testOversizedFile() throws {
        let folder = try makeFolder()
        let path = try folder.file("large.bin", [0xf4])
        // Nothing but a hole: it takes no space.
        XCTAssertEqual(truncate(path, 3 << 30 + 1), 0)
        try check(
            path, 65, says: "has 3221225473 bytes, and the most that fits is 3 GiB.",
            remedy: "Give a smaller file; MiniVMM boots \(Self.accepted).")
    }

    func testRecognizedFormatsAreNamed() throws {
        let folder = try makeFolder()
        let remedy = "Give \(Self.accepted)."
        let decompress = "Decompress it first; MiniVMM boots \(Self.accepted)."
        for (name, bytes, format, remedy) in [
            ("gzip", [0x1f, 0x8b, 0x08, 0x00], "a gzip-compressed file", decompress),
            ("xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "an xz-compressed file", decompress),
            ("zstd", [0x28, 0xb5, 0x2f, 0xfd], "a zstd-compressed file", decompress),
            ("script", Array("#!/bin/sh\nexit\n".utf8), "a script", remedy),
            ("source", Array("        mov al, 1\n".utf8), "a text file", remedy),
            ("arm", SampleELF(machine: 183).bytes, "an ELF program for ARM64", remedy),
        ] {
            try check(
                folder.file(name, bytes), 65, says: "is \(format), which MiniVMM does not boot.", remedy: remedy)
        }
    }

    func testProgramIsNamed() throws {
        let run = try CommandLineRun(["run", MiniVMMExecutable.path()])
        run.assertStatus(65)
        let words = "/minivmm is an ELF program for x86-64 without a PVH note, which MiniVMM does not boot."
        XCTAssertTrue(run.errors.contains("\(words)\nUse the kernel's bzImage"), run.errors)
    }

    func testKernelThatIsTooOld() throws {
        let file = try makeFolder().file("vmlinuz", SampleBzImage(version: 0x0206).bytes)
        try check(
            file, 65,
            says: "is a bzImage kernel, but it uses version 2.06 of the boot protocol, and MiniVMM needs 2.12 or "
                + "later.",
            remedy: "Use a 64-bit kernel of Linux 3.8 or later, built as a bzImage.")
    }

    func testDamagedKernel() throws {
        var kernel = SampleBzImage()
        kernel.paragraphs = 0xffff
        let run = try CommandLineRun(["run", makeFolder().file("vmlinuz", kernel.bytes)])
        run.assertStatus(65)
        XCTAssertTrue(run.errors.contains(" is a bzImage kernel, but a damaged one: "), run.errors)
    }
}
