/// The bytes by which a format is known that MiniVMM does not boot, but names in its error.
struct FileSignature: Sendable {
    /// What a file of the format is, with its article.
    package let name: String
    /// Where the bytes stand.
    package let offset: Int
    /// The bytes.
    package let bytes: [UInt8]
    /// Whether what the file holds is to be had by decompressing it.
    let isCompressed: Bool

    private init(_ name: String, _ bytes: [UInt8], at offset: Int = 0, isCompressed: Bool = false) {
        self.name = name
        self.bytes = bytes
        self.offset = offset
        self.isCompressed = isCompressed
    }

    private init(_ name: String, _ text: StaticString, at offset: Int = 0) {
        self.init(name, text.withUTF8Buffer { unsafe [UInt8]($0) }, at: offset)
    }

    /// The first signature of the table that the bytes have.
    package static func first(in bytes: [UInt8]) -> FileSignature? {
        all.first { bytes.hasBytes($0.bytes, at: $0.offset) }
    }

    /// The table. Only signatures that no 16-bit program starts with by chance: three bytes at least, but for `#!`.
    ///
    /// Source: the specification of each format (RFC 1952 for gzip, RFC 8878 for zstd, the xz and LZ4 frame formats,
    /// ECMA-119, qcow2's and VMDK's), and file(1) for those without one.
    private static let all: [FileSignature] = [
        FileSignature("a gzip-compressed file", [0x1f, 0x8b, 0x08], isCompressed: true),
        FileSignature("an xz-compressed file", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], isCompressed: true),
        FileSignature("a zstd-compressed file", [0x28, 0xb5, 0x2f, 0xfd], isCompressed: true),
        // "BZh", the block size, and pi.
        FileSignature("a bzip2-compressed file", [0x31, 0x41, 0x59, 0x26, 0x53, 0x59], at: 4, isCompressed: true),
        FileSignature("an LZ4-compressed file", [0x04, 0x22, 0x4d, 0x18], isCompressed: true),
        FileSignature("an LZ4-compressed file", [0x02, 0x21, 0x4c, 0x18], isCompressed: true),
        FileSignature("an LZO-compressed file", [0x89, 0x4c, 0x5a, 0x4f, 0x00], isCompressed: true),
        // The commonest parameters, a dictionary of whole 64 KiB, and an unknown size.
        FileSignature("an LZMA-compressed file", [0x5d, 0x00, 0x00], isCompressed: true),
        FileSignature("a cpio archive, such as an initramfs", "070701"),
        FileSignature("a cpio archive, such as an initramfs", "070702"),
        FileSignature("a cpio archive", "070707"),
        FileSignature("an ar archive, such as a Debian package", "!<arch>\n"),
        FileSignature("an RPM package", [0xed, 0xab, 0xee, 0xdb]),
        FileSignature("a tar archive", "ustar", at: 257),
        FileSignature("a ZIP archive", [0x50, 0x4b, 0x03, 0x04]),
        FileSignature("an ISO 9660 image", "CD001", at: 0x8001),
        FileSignature("a disk image in qcow2 format", [0x51, 0x46, 0x49, 0xfb]),
        FileSignature("a disk image in VMDK format", "KDMV"),
        FileSignature("a disk image in VMDK format", "# Disk DescriptorFile"),
        FileSignature("a disk image in VHDX format", "vhdxfile"),
        FileSignature("a disk image in VHD format", "conectix"),
        FileSignature("a disk image in VDI format", [0x7f, 0x10, 0xda, 0xbe], at: 0x40),
        FileSignature("a disk image with a GUID partition table", "EFI PART", at: 512),
        FileSignature("a SquashFS image", "hsqs"),
        FileSignature("an ARM64 Linux kernel", "ARMd", at: 0x38),
        FileSignature("a RISC-V Linux kernel", [0x52, 0x53, 0x43, 0x05], at: 0x38),
        FileSignature("a U-Boot image", [0x27, 0x05, 0x19, 0x56]),
        FileSignature("a device tree or U-Boot FIT image", [0xd0, 0x0d, 0xfe, 0xed]),
        FileSignature("an Android boot image", "ANDROID!"),
        FileSignature("a Mach-O program", [0xcf, 0xfa, 0xed, 0xfe]),
        FileSignature("a Mach-O program", [0xca, 0xfe, 0xba, 0xbe]),
        FileSignature("a WebAssembly module", [0x00, 0x61, 0x73, 0x6d]),
        FileSignature("an HTML page", "<!DOCTYPE"),
        FileSignature("an HTML page", "<!doctype"),
        FileSignature("an HTML page", "<html"),
        FileSignature("a script", "#!"),
    ]
}
