/// What a file is, told by its content alone.
public enum ImageFormat: Hashable, Sendable {
    /// A Linux kernel for the x86 boot protocol.
    case bzImage
    /// A kernel with the header of Multiboot, or of Multiboot 2.
    case multiboot(MultibootVersion)
    /// An ELF kernel for x86-64 with the note by which it is entered the PVH way.
    case pvhKernel
    /// Any other ELF file.
    case elf(ELFIdentity)
    /// A file of a compressed format, named with its article.
    case compressed(String)
    /// A file of another known format, named with its article.
    case other(String)
    /// Anything else: a flat 16-bit image, such as a boot sector.
    case flat

    /// Finds out what the bytes of a file are.
    public init(detecting bytes: [UInt8]) {
        self.init(detecting: ImageFile(path: "", bytes: bytes))
    }

    /// Finds out what a file is.
    package init(detecting file: ImageFile) {
        let bytes = file.bytes
        if SetupHeader.isPresent(in: bytes) {
            self = .bzImage
        } else if let header = MultibootHeader.find(in: bytes) {
            self = .multiboot(header.version)
        } else if let identity = ELFIdentity(bytes) {
            let entry = identity.isX8664 ? try? ELFFile(file).pvhEntry(in: file) : nil
            self = entry == nil ? .elf(identity) : .pvhKernel
        } else if ELFIdentity.isPresent(in: bytes) {
            self = .other("an ELF file that ends within its header")
        } else if let signature = FileSignature.first(in: bytes) {
            self = signature.isCompressed ? .compressed(signature.name) : .other(signature.name)
        } else if let name = PortableExecutable.describe(bytes) {
            self = .other(name)
        } else if Self.isText(bytes) {
            self = .other("a text file")
        } else {
            self = .flat
        }
    }

    /// Whether a file begins with lines of ASCII, as source code does and no program: 512 bytes of it, or all.
    private static func isText(_ bytes: [UInt8]) -> Bool {
        let start = bytes.prefix(512)
        let controls: [UInt8] = [0x09, 0x0a, 0x0d]
        return start.contains(0x0a) && start.allSatisfy { (0x20...0x7e).contains($0) || controls.contains($0) }
    }
}

extension ImageFormat: CustomStringConvertible {
    /// The format in words, with its article.
    public var description: String {
        switch self {
        case .bzImage: "a bzImage kernel"
        case .multiboot(.one): "a Multiboot kernel"
        case .multiboot(.two): "a Multiboot 2 kernel"
        case .pvhKernel: "an ELF kernel with a PVH note"
        case .elf(let identity) where identity.isX8664: "\(identity) without a PVH note"
        case .elf(let identity): identity.description
        case .compressed(let name), .other(let name): name
        case .flat: "a flat image"
        }
    }
}

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
    private static let maximumSectionCount: UInt16 = 96
    /// `.linux`, the section of a unified kernel image that holds the kernel.
    private static let linuxSection: [UInt8] = [0x2e, 0x6c, 0x69, 0x6e, 0x75, 0x78, 0, 0]

    private static let machineNames: [UInt16: String] = [
        0x014c: "x86", 0x01c0: "ARM", 0x01c2: "ARM", 0x01c4: "ARM", 0x0200: "Itanium", 0x5032: "RISC-V",
        0x5064: "RISC-V", 0x6264: "LoongArch", 0x8664: "x86-64", 0xaa64: "ARM64",
    ]

    /// What the file is, in words and with its article; nil when it does not begin with `MZ`.
    package static func describe(_ bytes: [UInt8]) -> String? {
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
        return (0..<UInt64(min(count, maximumSectionCount))).contains {
            bytes.hasBytes(linuxSection, at: Int(table + $0 * sectionSize))
        }
    }
}

extension Character {
    fileprivate var isASCIILetterOrDigit: Bool { isASCII && (isLetter || isNumber) }
}
