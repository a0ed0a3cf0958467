@testable import Boot
@testable import Host
@testable import TestSupport
import XCTest

/// The ELF kernel inside a bzImage.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, `payload_offset`, `payload_length` and `setup_sects`.
enum KernelExtraction {
    private static let sectorCountOffset: UInt64 = 0x1f1
    private static let payloadOffsetOffset: UInt64 = 0x248
    private static let payloadSizeOffset: UInt64 = 0x24c
    private static let sectorSize: UInt64 = 512

    /// Takes the kernel out.
    ///
    /// - Throws: `XCTSkip` when it is compressed with something else than LZ4.
    static func vmlinux(in image: ImageFile) throws -> ImageFile {
        let sectors = try XCTUnwrap(image.bytes.integer(UInt8.self, at: sectorCountOffset))
        let offset = try XCTUnwrap(image.bytes.integer(UInt32.self, at: payloadOffsetOffset))
        let size = try XCTUnwrap(image.bytes.integer(UInt32.self, at: payloadSizeOffset))
        let start = (UInt64(sectors) + 1) * sectorSize + UInt64(offset)
        let payload = try XCTUnwrap(image.bytes.part(at: start, count: UInt64(size)))
        guard LZ4Legacy.isPresent(in: payload) else {
            let magic = Hex.bytes(Array(payload.prefix(4)))
            throw XCTSkip("the kernel inside \(image.path) is not compressed with LZ4 (it begins with \(magic))")
        }
        // Behind the compressed kernel stands its size.
        let trailer = MemoryLayout<UInt32>.size
        let kernelSize = try XCTUnwrap(Array(payload.suffix(trailer)).integer(UInt32.self, at: 0))
        let kernel = try LZ4Legacy.decompress(Array(payload.dropLast(trailer)), size: Int(kernelSize))
        return ImageFile(path: "vmlinux", bytes: kernel)
    }
}
