@testable import Boot
@testable import Host
@testable import TestSupport
import XCTest
@testable import minivmm_cli

final class ImageFormatTests: XCTestCase {
    private func description(_ bytes: [UInt8]) -> String {
        ImageFormat(detecting: bytes).description
    }

    /// Bytes at an offset, with zeros around them.
    private func sample(_ bytes: [UInt8], at offset: Int = 0, size: Int = 0x9000) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: size)
        result.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        return result
    }

    private func sample(_ text: String, at offset: Int = 0) -> [UInt8] {
        sample([UInt8](text.utf8), at: offset)
    }

    func testKernels() {
        XCTAssertEqual(ImageFormat(detecting: SampleBzImage().bytes), .bzImage)
        XCTAssertEqual(ImageFormat(detecting: SampleELF().bytes), .pvhKernel)
        XCTAssertEqual(ImageFormat(detecting: SampleELF(entrySize: 4).bytes), .pvhKernel)
    }

    func testABzImageMayBeginAsAnEFIProgram() {
        var bytes = SampleBzImage().bytes
        bytes.replaceSubrange(0..<2, with: [0x4d, 0x5a])
        XCTAssertEqual(ImageFormat(detecting: bytes), .bzImage)
    }

    func testFlatImages() {
        XCTAssertEqual(ImageFormat(detecting: []), .flat)
        XCTAssertEqual(ImageFormat(detecting: [0xf4]), .flat)
        XCTAssertEqual(ImageFormat(detecting: [0x4d, 0x5a]), .flat)
        // A boot sector, and one with half of a bzImage's marks.
        XCTAssertEqual(ImageFormat(detecting: sample([0x55, 0xaa], at: 510, size: 512)), .flat)
        XCTAssertEqual(ImageFormat(detecting: sample([0x55, 0xaa, 0, 0, 0x48, 0x64, 0x72], at: 510)), .flat)
        XCTAssertEqual(ImageFormat(detecting: sample("HdrS", at: 0x202)), .flat)
    }

    func testBuiltInGuestsAreFlat() {
        for guest in BuiltInGuest.all {
            XCTAssertEqual(ImageFormat(detecting: guest.image), .flat, guest.name)
        }
    }

    func testELFFilesThatAreNoKernels() {
        let none = "an ELF program for x86-64 without a PVH note"
        XCTAssertEqual(description(SampleELF(noteType: 17).bytes), none)
        XCTAssertEqual(description(SampleELF(noteName: "Xem").bytes), none)
        XCTAssertEqual(description(SampleELF(entrySize: 2).bytes), none)
        XCTAssertEqual(
            description(SampleELF(type: 1, noteType: 1).bytes), none.replacing("program", with: "object file"))
        XCTAssertEqual(description(SampleELF(machine: 183).bytes), "an ELF program for ARM64")
        XCTAssertEqual(description(SampleELF(machine: 0x4321).bytes), "an ELF program for the machine of number 17185")
        XCTAssertEqual(description(SampleELF(fileClass: 1, machine: 3).bytes), "a 32-bit ELF program for x86")
        XCTAssertEqual(description(SampleELF(fileClass: 1).bytes), "a 32-bit ELF program for x86-64")
        XCTAssertEqual(
            description(SampleELF(encoding: 2, type: 4, machine: 22).bytes), "an ELF core dump for big-endian S/390")
    }

    func testCompressedFiles() {
        let samples: [([UInt8], String)] = [
            ([0x1f, 0x8b, 0x08], "a gzip-compressed file"),
            ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "an xz-compressed file"),
            ([0x28, 0xb5, 0x2f, 0xfd], "a zstd-compressed file"),
            ([0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59], "a bzip2-compressed file"),
            ([0x04, 0x22, 0x4d, 0x18], "an LZ4-compressed file"),
            ([0x02, 0x21, 0x4c, 0x18], "an LZ4-compressed file"),
            ([0x5d, 0x00, 0x00, 0x80, 0x00], "an LZMA-compressed file"),
        ]
        for (bytes, name) in samples {
            let format = ImageFormat(detecting: sample(bytes))
            XCTAssertEqual(format, .compressed(name))
            XCTAssertTrue(format.remedy.contains("Decompress"), format.remedy)
        }
    }

    func testOtherFiles() {
        XCTAssertEqual(description(sample("!<arch>\n")), "an ar archive, such as a Debian package")
        XCTAssertEqual(description(sample("CD001", at: 0x8001)), "an ISO 9660 image")
        XCTAssertEqual(description(sample([0x51, 0x46, 0x49, 0xfb])), "a disk image in qcow2 format")
        XCTAssertEqual(description(sample("KDMV")), "a disk image in VMDK format")
        XCTAssertEqual(description(sample("# Disk DescriptorFile\n")), "a disk image in VMDK format")
        XCTAssertEqual(description(sample("070701")), "a cpio archive, such as an initramfs")
        XCTAssertEqual(description(sample("#!/bin/sh\n")), "a script")
        XCTAssertEqual(description(sample("ARMd", at: 0x38)), "an ARM64 Linux kernel")
    }

    func testSourceCodeIsNoGuest() {
        let text = "        .code16\n        hlt\n"
        XCTAssertEqual(description([UInt8](text.utf8)), "a text file")
        // What could be code stays code: printable bytes without a line, and text that code follows.
        XCTAssertEqual(ImageFormat(detecting: [UInt8](repeating: 0x41, count: 512)), .flat)
        XCTAssertEqual(ImageFormat(detecting: [UInt8](text.utf8) + [0xf4]), .flat)
    }

    /// An EFI program whose header is at 0x80.
    private func portableExecutable(machine: UInt16, section: String = ".text") -> [UInt8] {
        var bytes = sample([0x4d, 0x5a])
        bytes.set(UInt32(0x80), at: 0x3c)
        bytes.replaceSubrange(0x80..<0x84, with: [0x50, 0x45, 0, 0])
        bytes.set(machine, at: 0x84)
        bytes.set(UInt16(2), at: 0x86)
        bytes.set(UInt16(0x20), at: 0x94)
        // The second section.
        let name = [UInt8](section.utf8)
        bytes.replaceSubrange(0xe0..<0xe0 + name.count, with: name)
        return bytes
    }

    func testEFIPrograms() {
        XCTAssertEqual(description(portableExecutable(machine: 0x8664)), "a Windows or EFI program for x86-64")
        XCTAssertEqual(description(portableExecutable(machine: 0xaa64)), "a Windows or EFI program for ARM64")
        XCTAssertEqual(
            description(portableExecutable(machine: 0x8664, section: ".linux")), "a unified kernel image for x86-64")
        XCTAssertEqual(description(sample([0x4d, 0x5a])), "a DOS program")
        var zboot = portableExecutable(machine: 0xaa64)
        zboot.replaceSubrange(4..<8, with: Array("zimg".utf8))
        zboot.replaceSubrange(0x18..<0x1d, with: Array("gzip\u{1b}".utf8))
        XCTAssertEqual(description(zboot), "an EFI zboot kernel for ARM64 (gzip-compressed)")
    }

    /// What the command says.
    private static func words(_ error: any Error) -> String {
        (error as? any CommandError).map { "\($0.explanation) \($0.remedy)" } ?? ""
    }

    func testWhatIsNotBootedIsNamedInTheError() throws {
        let file = ImageFile(path: "vmlinuz.gz", bytes: sample([0x1f, 0x8b, 0x08]))
        XCTAssertThrowsError(try GuestLoaders.guest(file)) { error in
            XCTAssertEqual(
                Self.words(error),
                "vmlinuz.gz is a gzip-compressed file, which MiniVMM does not boot. Decompress it first; MiniVMM boots "
                    + "a bzImage kernel, an ELF kernel for x86-64 with a PVH note, a Multiboot kernel, or a flat 16-bit image."
            )
            XCTAssertEqual((error as? ImageError)?.exitStatus, .imageNotAcceptable)
        }
        XCTAssertThrowsError(try GuestLoaders.guest(SampleELF(noteType: 1).file)) { error in
            XCTAssertTrue(Self.words(error).contains("minivmm exec"), Self.words(error))
        }
    }

    func testEachKindOfImageFindsItsLoader() throws {
        func kernel(_ file: ImageFile) throws -> (any LinuxKernel)? {
            (try GuestLoaders.guest(file) as? LinuxGuest)?.kernel
        }
        XCTAssertTrue(try kernel(SampleBzImage().file) is LinuxImage)
        XCTAssertTrue(try kernel(SampleELF().file) is ELFKernel)
        XCTAssertTrue(try GuestLoaders.guest(ImageFile(path: "flat", bytes: [0xf4])) is FlatGuest)
    }

    func testAFileThatBeginsWithAKnownMagicIsNeverFlat() throws {
        try TestBed.skipWhereEmulated()
        let whole = SampleELF().bytes
        for count in 4..<whole.count {
            let cut = Array(whole[..<count])
            XCTAssertNotEqual(ImageFormat(detecting: cut), .flat, "\(count) bytes")
            XCTAssertThrowsError(try GuestLoaders.guest(ImageFile(path: "cut", bytes: cut)), "\(count) bytes")
        }
        let file = ImageFile(path: "cut", bytes: [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
        XCTAssertThrowsError(try GuestLoaders.guest(file)) { error in
            XCTAssertEqual(
                (error as? ImageError)?.explanation,
                "cut is an ELF file that ends within its header, which MiniVMM does not boot.")
        }
    }
}
