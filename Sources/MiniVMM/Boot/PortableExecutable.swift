/// Tells apart the files that begin with `MZ`: programs for DOS, Windows and EFI, and kernels in EFI's shape.
///
/// Source: Microsoft, "PE Format"; for zboot, Linux, drivers/firmware/efi/libstub/zboot-header.S; for unified kernel
/// images, the UAPI group's specification of them.
enum PortableExecutable {
    private static let mark: [UInt8] = [0x4d, 0x5a]
    private static let zbootMark: [UInt8] = [0x7a, 0x69, 0x6d, 0x67]
    private static let zbootMarkOffset = 4
    private static let zbootCompressionOffset: UInt64 = 0x18
    private static let zbootCompressionSize: UInt64 = 8
    private static let headerPointerOffset: UInt64 = 0x3c
    private static let headerMark: [UInt8] = [0x50, 0x45, 0x00, 0x00]
    /// Both from the header's start.
    private static let machineOffset: UInt64 = 4
    private static let sectionCountOffset: UInt64 = 6
    private static let optionalHeaderSizeOffset: UInt64 = 20
    private static let headerSize: UInt64 = 24
    private static let sectionSize: UInt64 = 40
    /// The most sections that the Windows loader takes.
    private static let greatestSectionCount: UInt16 = 96
    /// `.linux`, the section of a unified kernel image that holds the kernel.
    private static let linuxSection: [UInt8] = [0x2e, 0x6c, 0x69, 0x6e, 0x75, 0x78, 0, 0]

    private static let machineNames: [UInt16: String] = [
        0x014c: "x86", 0x01c0: "ARM", 0x01c2: "ARM", 0x01c4: "ARM", 0x0200: "Itanium", 0x5032: "RISC-V",
        0x5064: "RISC-V", 0x6264: "LoongArch", 0x8664: "x86-64", 0xaa64: "ARM64",
    ]

    /// What the file is, in words and with its article; nil when it does not begin with `MZ`.
    static func describe(_ bytes: [UInt8]) -> String? {
        guard bytes.hasBytes(mark, at: 0) else { return nil }
        let header = bytes.integer(UInt32.self, at: headerPointerOffset).map(UInt64.init)
        guard let header, bytes.hasBytes(headerMark, at: Int(header)) else {
            return bytes.count > Int(headerPointerOffset) ? "a DOS program" : nil
        }
        let machine = bytes.integer(UInt16.self, at: header + machineOffset) ?? 0
        let processor = machineNames[machine] ?? "the machine of number \(machine)"
        if bytes.hasBytes(zbootMark, at: zbootMarkOffset) {
            return "an EFI zboot kernel for \(processor) (\(zbootCompression(bytes))-compressed)"
        }
        if hasLinuxSection(bytes, header: header) {
            return "a unified kernel image for \(processor)"
        }
        return "a Windows or EFI program for \(processor)"
    }

    /// The name of the compression, which the header holds as text.
    private static func zbootCompression(_ bytes: [UInt8]) -> String {
        let text = bytes.part(at: zbootCompressionOffset, count: zbootCompressionSize) ?? []
        // Only letters and digits: what stands in a file is not printed to a terminal as it is.
        let name = text.prefix { $0 != 0 }.filter { Character(Unicode.Scalar($0)).isASCIILetterOrDigit }
        return name.isEmpty ? "unknown" : String(decoding: name, as: UTF8.self)
    }

    private static func hasLinuxSection(_ bytes: [UInt8], header: UInt64) -> Bool {
        guard let count = bytes.integer(UInt16.self, at: header + sectionCountOffset),
            let optionalSize = bytes.integer(UInt16.self, at: header + optionalHeaderSizeOffset)
        else { return false }
        // The header's offset has 32 bits: none of these sums can pass 64.
        let table = header + headerSize + UInt64(optionalSize)
        return (0..<UInt64(min(count, greatestSectionCount))).contains {
            bytes.hasBytes(linuxSection, at: Int(table + $0 * sectionSize))
        }
    }
}

extension Character {
    fileprivate var isASCIILetterOrDigit: Bool { isASCII && (isLetter || isNumber) }
}
