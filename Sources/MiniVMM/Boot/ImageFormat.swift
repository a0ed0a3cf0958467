/// What a file is, told by its content alone.
public enum ImageFormat: Hashable, Sendable {
    /// A Linux kernel for the x86 boot protocol.
    case bzImage
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
        if SetupHeader.isPresent(in: bytes) {
            self = .bzImage
        } else if let identity = ELFIdentity(bytes) {
            let entry = identity.isX8664 ? try? ELFFile(bytes).pvhEntry(in: bytes) : nil
            self = entry == nil ? .elf(identity) : .pvhKernel
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

    /// What to do about a file of this format that MiniVMM does not boot.
    var remedy: String {
        switch self {
        case .compressed:
            "Decompress it first; MiniVMM boots \(ImageError.accepted)."
        case .elf(let identity) where identity.isX8664:
            """
            Use the kernel's bzImage, or build it with CONFIG_PVH; a Linux program runs inside a guest with \
            `minivmm exec`.
            """
        case .bzImage, .pvhKernel, .elf, .other, .flat:
            "Give \(ImageError.accepted)."
        }
    }
}

extension ImageFormat: CustomStringConvertible {
    /// The format in words, with its article.
    public var description: String {
        switch self {
        case .bzImage: "a bzImage kernel"
        case .pvhKernel: "an ELF kernel with a PVH note"
        case .elf(let identity) where identity.isX8664: "\(identity) without a PVH note"
        case .elf(let identity): identity.description
        case .compressed(let name), .other(let name): name
        case .flat: "a flat image"
        }
    }
}
