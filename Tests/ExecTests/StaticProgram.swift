@testable import Boot
@testable import Exec
@testable import TestSupport

/// A Linux program that needs no library: code, and behind it data that it may write to.
enum StaticProgram {
    /// Where the file is loaded.
    private static let base: UInt32 = 0x40_0000

    /// Where the code starts.
    static func codeAddress(_ format: ELFClass) -> UInt32 {
        base + UInt32(headerSize(format)) + UInt32(format.entrySize)
    }

    private static func headerSize(_ format: ELFClass) -> Int { format == .wide ? 64 : 52 }

    /// The file.
    ///
    /// - Parameters:
    ///   - code: The code, for data that starts at the given address. Its length does not depend on that.
    static func file(_ format: ELFClass, code: (UInt32) -> [UInt8], data: [UInt8]) -> [UInt8] {
        let isWide = format == .wide
        let headerSize = headerSize(format)
        let start = headerSize + Int(format.entrySize)
        let size = UInt32(start + code(0).count + data.count)
        var bytes = [UInt8](repeating: 0, count: start)
        bytes.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, isWide ? 2 : 1, 1, 1])
        bytes.set(UInt16(2), at: 16)
        bytes.set(UInt16(isWide ? 62 : 3), at: 18)
        bytes.set(UInt32(1), at: 20)
        bytes.set(codeAddress(format), at: 24)
        bytes.set(UInt32(headerSize), at: Int(format.tableOffset))
        bytes.set(UInt16(format.entrySize), at: Int(format.entrySizeOffset))
        bytes.set(UInt16(1), at: Int(format.entryCountOffset))
        // The low halves are all that there is of each number.
        let segment: [(offset: Int, value: UInt32)] = [
            (0, 1), (Int(format.virtualAddress), base), (Int(format.fileSize), size),
            // In memory, the permissions to read, write and execute, and the alignment.
            (isWide ? 40 : 20, size), (isWide ? 4 : 24, 7), (isWide ? 48 : 28, 0x1000),
        ]
        for (offset, value) in segment { bytes.set(value, at: headerSize + offset) }
        return bytes + code(base + size - UInt32(data.count)) + data
    }

    /// An immediate operand.
    static func bytes(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian, Array.init) }

    /// Ends the program with EAX as its status: 9 bytes in either mode.
    static func exit(_ format: ELFClass) -> [UInt8] {
        format == .wide
            ? [
                0x89, 0xc7,  // mov edi, eax
                0xb8, 0x3c, 0x00, 0x00, 0x00,  // mov eax, 60: exit
                0x0f, 0x05,  // syscall
            ]
            : [
                0x89, 0xc3,  // mov ebx, eax
                0xb8, 0x01, 0x00, 0x00, 0x00,  // mov eax, 1: exit
                0xcd, 0x80,  // int 0x80
            ]
    }
}
