@testable import MiniVMM

/// A static Linux program that asks for the total of exits twice in a row, with nothing in between, and ends with the
/// difference as its exit status: the least of several, for the kernel may have something to do in between.
enum CounterProgram {
    private static let address: UInt64 = 0x40_0000

    /// For the 64-bit mode.
    static let wide = file(
        .wide, machine: 62,
        code: leastDifference + [
            0xb8, 0x3c, 0x00, 0x00, 0x00,  // mov eax, 60: exit
            0x0f, 0x05,  // syscall
        ])

    /// For the 32-bit mode.
    static let narrow = file(
        .narrow, machine: 3,
        code: leastDifference + [
            0x89, 0xfb,  // mov ebx, edi
            0xb8, 0x01, 0x00, 0x00, 0x00,  // mov eax, 1: exit
            0xcd, 0x80,  // int 0x80
        ])

    /// Leaves the least difference in EDI. The bytes mean the same in both modes.
    private static let leastDifference: [UInt8] =
        [
            0xbf, 0xff, 0xff, 0xff, 0xff,  // mov edi, -1
            0xbd, 0x10, 0x00, 0x00, 0x00,  // mov ebp, 16
        ] + round + [
            0xff, 0xcd,  // dec ebp
            0x75, UInt8(truncatingIfNeeded: -(round.count + 4)),  // jnz round
        ]

    private static let round: [UInt8] =
        ask + [
            0x89, 0xc6,  // mov esi, eax
        ] + ask + [
            0x29, 0xf0,  // sub eax, esi
            0x39, 0xf8,  // cmp eax, edi
            0x0f, 0x42, 0xf8,  // cmovb edi, eax
        ]

    private static let ask: [UInt8] = [
        0xb8, 0xfc, 0xff, 0xff, 0x4f,  // mov eax, 0x4ffffffc
        0x0f, 0xa2,  // cpuid
    ]

    private static func file(_ format: ELFClass, machine: UInt16, code: [UInt8]) -> [UInt8] {
        let isWide = format == .wide
        let headerSize = isWide ? 64 : 52
        let start = headerSize + Int(format.entrySize)
        let size = UInt64(start + code.count)
        var bytes = [UInt8](repeating: 0, count: start)
        bytes.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, isWide ? 2 : 1, 1, 1])
        bytes.set(UInt16(2), at: 16)
        bytes.set(machine, at: 18)
        bytes.set(UInt32(1), at: 20)
        bytes.set(UInt32(address) + UInt32(start), at: 24)
        bytes.set(UInt32(headerSize), at: Int(format.tableOffset))
        bytes.set(UInt16(format.entrySize), at: Int(format.entrySizeOffset))
        bytes.set(UInt16(1), at: Int(format.entryCountOffset))
        // The low halves are all that there is of each number.
        let segment: [(offset: Int, value: UInt32)] = [
            (0, 1), (Int(format.address), UInt32(address)), (Int(format.fileSize), UInt32(size)),
            // In memory, the permissions to read and execute, and the alignment.
            (isWide ? 40 : 20, UInt32(size)), (isWide ? 4 : 24, 5), (isWide ? 48 : 28, 0x1000),
        ]
        for (offset, value) in segment { bytes.set(value, at: headerSize + offset) }
        return bytes + code
    }
}
