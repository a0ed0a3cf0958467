/// What kind of ELF file a file is, as far as an error has to say it.
///
/// Source: System V ABI, "ELF Header", and its registry of machine numbers.
public struct ELFIdentity: Hashable, Sendable {
    /// Whether addresses have 64 bits.
    public let is64Bit: Bool
    /// Whether numbers are stored with the least significant byte first.
    public let isLittleEndian: Bool
    /// What the file is for (`e_type`): 1 an object file, 2 a program, 3 a position-independent program or a library,
    /// 4 a core dump.
    public let type: UInt16
    /// The processor (`e_machine`).
    public let machine: UInt16

    /// Looks at the first bytes of a file.
    ///
    /// - Returns: Nil when they are not those of an ELF file, or end before the machine's number.
    package init?(_ bytes: [UInt8]) {
        guard bytes.hasBytes(Self.magic, at: 0),
            let fileClass = bytes.integer(UInt8.self, at: Offset.fileClass),
            let encoding = bytes.integer(UInt8.self, at: Offset.encoding),
            let type = bytes.integer(UInt16.self, at: Offset.type),
            let machine = bytes.integer(UInt16.self, at: Offset.machine)
        else { return nil }
        is64Bit = fileClass == Self.class64
        isLittleEndian = encoding != Self.encodingBig
        self.type = isLittleEndian ? type : type.byteSwapped
        self.machine = isLittleEndian ? machine : machine.byteSwapped
    }

    /// Whether a file begins as every ELF file does.
    static func isPresent(in bytes: [UInt8]) -> Bool {
        bytes.hasBytes(magic, at: 0)
    }

    /// Whether the file is for the processor that MiniVMM's guests have, in its 64-bit mode.
    public var isX8664: Bool { is64Bit && isLittleEndian && machine == Self.machineX8664 }

    /// Whether the file is for the same processor in its 32-bit mode.
    public var isX86: Bool { !is64Bit && isLittleEndian && machine == Self.machineX86 }

    private static let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]
    private static let class64: UInt8 = 2
    private static let encodingBig: UInt8 = 2
    private static let machineX8664: UInt16 = 62
    private static let machineX86: UInt16 = 3
    /// A position-independent program, or a library (ET_DYN).
    package static let typeMovable: UInt16 = 3
    private static let typeObject: UInt16 = 1
    private static let typeCore: UInt16 = 4

    private enum Offset {
        static let fileClass: UInt64 = 4
        static let encoding: UInt64 = 5
        static let type: UInt64 = 16
        static let machine: UInt64 = 18
    }

    private static let machineNames: [UInt16: String] = [
        2: "SPARC", 3: "x86", 4: "68000", 8: "MIPS", 15: "PA-RISC", 20: "PowerPC", 21: "64-bit PowerPC", 22: "S/390",
        40: "ARM", 42: "SuperH", 43: "64-bit SPARC", 50: "Itanium", 62: "x86-64", 183: "ARM64", 243: "RISC-V",
        247: "BPF", 258: "LoongArch",
    ]
}

extension ELFIdentity: CustomStringConvertible {
    /// The file in words, with its article, such as "an ELF program for ARM64".
    public var description: String {
        let article = is64Bit ? "an" : "a 32-bit"
        let order = isLittleEndian ? "" : "big-endian "
        let kind =
            switch type {
            case Self.typeObject: "object file"
            case Self.typeCore: "core dump"
            default: "program"
            }
        let processor = Self.machineNames[machine] ?? "the machine of number \(machine)"
        return "\(article) ELF \(kind) for \(order)\(processor)"
    }
}
