import Foundation
import XCTest

@testable import MiniVMM

/// Images that `minivmm run` does not take: what it says, and status 65 or 66.
final class ImageErrorTests: XCTestCase {
    private func check(_ path: String, _ status: Int32, says words: String, remedy: String, line: UInt = #line) throws {
        let run = try CommandLineRun(["run", path])
        run.assertStatus(status, line: line)
        XCTAssertEqual(run.output, [], line: line)
        XCTAssertEqual(run.errors, "minivmm: \(path) \(words)\n\(remedy)\n", line: line)
    }

    private static let flatImage = "a flat 16-bit image, such as a boot sector"

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
        try check(folder.path, 66, says: "is a directory, not a file.", remedy: "Give the path of \(Self.flatImage).")
    }

    func testDevice() throws {
        try check(
            "/dev/zero", 66, says: "is a character device, not a file.",
            remedy: "Give the path of \(Self.flatImage).")
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
            remedy: "Give a smaller file; MiniVMM boots \(Self.flatImage).")
    }

    func testRecognizedFormatsAreNamed() throws {
        let folder = try makeFolder()
        let remedy = "Give \(Self.flatImage)."
        let decompress = "Decompress it first; MiniVMM boots \(Self.flatImage)."
        for (name, bytes, format, remedy) in [
            ("gzip", [0x1f, 0x8b, 0x08, 0x00], "a gzip-compressed file", decompress),
            ("xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "an xz-compressed file", decompress),
            ("zstd", [0x28, 0xb5, 0x2f, 0xfd], "a zstd-compressed file", decompress),
            ("script", Array("#!/bin/sh\nexit\n".utf8), "a script", remedy),
            ("source", Array("        mov al, 1\n".utf8), "a text file", remedy),
            ("bzImage", SampleBzImage().bytes, "a bzImage kernel", remedy),
            ("vmlinux", SampleELF().bytes, "an ELF kernel with a PVH note", remedy),
        ] {
            try check(
                folder.file(name, bytes), 65, says: "is \(format), which MiniVMM does not boot.", remedy: remedy)
        }
    }

    func testProgramIsNamed() throws {
        try check(
            MiniVMMExecutable.path(), 65,
            says: "is an ELF program for x86-64 without a PVH note, which MiniVMM does not boot.",
            remedy: "Give \(Self.flatImage).")
    }
}
