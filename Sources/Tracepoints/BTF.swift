import Host

/// The types of a running kernel: where the members of its structures stand.
///
/// Nothing in the bytes is trusted: what does not fit together is no BTF.
///
/// Source: Linux, Documentation/bpf/btf.rst.
struct BTF {
    /// A file of types: the kernel's own, or a module's, whose numbers go on where the kernel's end.
    private struct Part {
        let bytes: [UInt8]
        let typesOffset: Int
        let stringsOffset: Int
        let stringsSize: Int
        let firstType: UInt32
        let firstString: UInt32
        /// Where the types stand, by their numbers minus `firstType`.
        let offsets: [Int]
    }

    private var parts: [Part] = []

    /// The kinds of types that are looked into.
    private enum Kind {
        static let structure: UInt32 = 4
        static let union: UInt32 = 5
    }

    /// What is before the types: magic, version, flags, length, and offsets and lengths of types and strings.
    private static let headerSize = 24
    private static let magic: UInt32 = 0xeb9f
    private static let typeSize = 12
    private static let memberSize = 12
    /// How deep structures without a name are followed.
    private static let maximumDepth = 3

    /// Reads the kernel's types, and a module's behind them.
    ///
    /// - Parameters:
    ///   - kernel: The bytes of /sys/kernel/btf/vmlinux.
    ///   - module: Those of the module's file there; nil when it is built into the kernel.
    /// - Returns: nil when they are damaged.
    init?(kernel: [UInt8], module: [UInt8]? = nil) {
        guard let part = Self.read(kernel, firstType: 1, firstString: 0) else { return nil }
        parts = [part]
        guard let module else { return }
        let firstType = part.firstType &+ UInt32(truncatingIfNeeded: part.offsets.count)
        guard
            let second = Self.read(
                module, firstType: firstType, firstString: UInt32(truncatingIfNeeded: part.stringsSize))
        else { return nil }
        parts.append(second)
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32? {
        guard offset >= 0, offset <= bytes.count - 4 else { return nil }
        return UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16
            | UInt32(bytes[offset + 3]) << 24
    }

    private static func read(_ bytes: [UInt8], firstType: UInt32, firstString: UInt32) -> Part? {
        guard bytes.count >= headerSize, let start = word(bytes, 0), start & 0xffff == magic,
            let header = word(bytes, 4), let typesOffset = word(bytes, 8), let typesSize = word(bytes, 12),
            let stringsOffset = word(bytes, 16), let stringsSize = word(bytes, 20)
        else { return nil }
        // Sums of 32-bit numbers fit in an Int.
        let types = Int(header) + Int(typesOffset)
        let strings = Int(header) + Int(stringsOffset)
        guard types + Int(typesSize) <= bytes.count, strings + Int(stringsSize) <= bytes.count else { return nil }
        var offsets: [Int] = []
        offsets.reserveCapacity(Int(typesSize) / 16)
        var offset = types
        let end = types + Int(typesSize)
        while offset < end {
            guard offset + typeSize <= end, let info = word(bytes, offset + 4), let extra = extraSize(info) else {
                return nil
            }
            offsets.append(offset)
            offset += typeSize + extra
        }
        return Part(
            bytes: bytes, typesOffset: types, stringsOffset: strings, stringsSize: Int(stringsSize),
            firstType: firstType, firstString: firstString, offsets: offsets)
    }

    /// The bytes that follow a type, by its kind and the number of its parts; nil for a kind that is not known.
    private static func extraSize(_ info: UInt32) -> Int? {
        let count = Int(info & 0xffff)
        return switch info >> 24 & 0x1f {
        case 1, 14, 17: 4  // integer, variable, declaration tag
        case 3: 12  // array
        case 4, 5, 15, 19: count * memberSize  // structure, union, section, 64-bit enumeration
        case 6, 13: count * 8  // enumeration, parameters of a function
        case 2, 7, 8, 9, 10, 11, 12, 16, 18: 0  // pointer, forward, typedef, qualifiers, function, float, type tag
        default: nil
        }
    }

    // MARK: Asking

    /// Where a member of a structure stands, in bytes. Structures without a name inside it are looked into, and one
    /// that is called `vt`, in which newer kernels keep what vcpu_vmx shares with its kin.
    ///
    /// - Returns: nil when there is no such structure, or no such member.
    func offset(of member: String, in structure: String) -> Int? {
        // A module's structures are in its own part.
        for part in parts.reversed() {
            for offset in part.offsets where kind(part, offset) == Kind.structure && name(part, offset) == structure {
                return self.offset(of: Array(member.utf8), part, offset, depth: 0)
            }
        }
        return nil
    }

    private func offset(of member: [UInt8], _ part: Part, _ type: Int, depth: Int) -> Int? {
        guard let info = Self.word(part.bytes, type + 4) else { return nil }
        let hasBitFields = info >> 31 == 1
        for index in 0..<Int(info & 0xffff) {
            let entry = type + Self.typeSize + index * Self.memberSize
            guard let name = Self.word(part.bytes, entry), let inner = Self.word(part.bytes, entry + 4),
                let position = Self.word(part.bytes, entry + 8)
            else { return nil }
            let bits = Int(hasBitFields ? position & 0xff_ffff : position)
            let text = string(name)
            if text.elementsEqual(member) { return bits / 8 }
            guard depth < Self.maximumDepth, text.isEmpty || text.elementsEqual("vt".utf8),
                let (innerPart, innerType) = find(inner),
                [Kind.structure, Kind.union].contains(kind(innerPart, innerType)),
                let found = offset(of: member, innerPart, innerType, depth: depth + 1)
            else { continue }
            return bits / 8 + found
        }
        return nil
    }

    private func kind(_ part: Part, _ type: Int) -> UInt32 {
        Self.word(part.bytes, type + 4).map { $0 >> 24 & 0x1f } ?? 0
    }

    private func name(_ part: Part, _ type: Int) -> String {
        String(decoding: Self.word(part.bytes, type).map(string) ?? [], as: UTF8.self)
    }

    private func find(_ number: UInt32) -> (Part, Int)? {
        for part in parts {
            let index = Int(number) - Int(part.firstType)
            if part.offsets.indices.contains(index) { return (part, part.offsets[index]) }
        }
        return nil
    }

    private func string(_ offset: UInt32) -> ArraySlice<UInt8> {
        for part in parts {
            let start = Int(offset) - Int(part.firstString)
            guard start >= 0, start < part.stringsSize else { continue }
            let rest = part.bytes[(part.stringsOffset + start)..<(part.stringsOffset + part.stringsSize)]
            return rest.prefix { $0 != 0 }
        }
        return []
    }
}
