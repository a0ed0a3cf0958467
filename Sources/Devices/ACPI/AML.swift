/// A piece of the ACPI machine language (AML), encoded.
///
/// Source: ACPI 6.4, section 20.2 "AML Grammar Definition".
public struct AMLTerm: Hashable, Sendable {
    private enum Opcode {
        static let zero: UInt8 = 0x00
        static let one: UInt8 = 0x01
        static let name: UInt8 = 0x08
        static let byte: UInt8 = 0x0A
        static let word: UInt8 = 0x0B
        static let long: UInt8 = 0x0C
        static let string: UInt8 = 0x0D
        static let quad: UInt8 = 0x0E
        static let scope: UInt8 = 0x10
        static let buffer: UInt8 = 0x11
        static let package: UInt8 = 0x12
        static let device: [UInt8] = [0x5B, 0x82]
    }

    /// The piece's encoding.
    package let bytes: [UInt8]

    /// An integer, in the shortest form.
    public static func integer(_ value: UInt64) -> AMLTerm {
        var builder = ByteBuilder()
        switch value {
        case 0: builder.add(Opcode.zero)
        case 1: builder.add(Opcode.one)
        case ...UInt64(UInt8.max):
            builder.add(Opcode.byte)
            builder.add(UInt8(value))
        case ...UInt64(UInt16.max):
            builder.add(Opcode.word)
            builder.add(UInt16(value))
        case ...UInt64(UInt32.max):
            builder.add(Opcode.long)
            builder.add(UInt32(value))
        default:
            builder.add(Opcode.quad)
            builder.add(value)
        }
        return AMLTerm(bytes: builder.bytes)
    }

    /// A device's identity, such as `PNP0501`: three letters of 5 bits and four hexadecimal digits, the most significant
    /// byte first.
    ///
    /// Source: ACPI 6.4, section 19.3.4 "ASL Macros", EISAID.
    ///
    /// - Throws: ``ACPIError/invalidName(_:)``.
    public static func eisaID(_ text: String) throws(ACPIError) -> AMLTerm {
        let letters = text.utf8.prefix(3)
        let digits = text.utf8.dropFirst(3)
        guard text.utf8.count == 7, letters.allSatisfy({ (0x41...0x5A).contains($0) }),
            digits.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }),
            let number = UInt16(text.dropFirst(3), radix: 16)
        else { throw .invalidName(text) }
        // A letter's low 5 bits are its place in the alphabet.
        let vendor = letters.reduce(UInt16(0)) { $0 << 5 | UInt16($1 & 0x1F) }
        var builder = ByteBuilder()
        builder.add(Opcode.long)
        builder.add(vendor.byteSwapped)
        builder.add(number.byteSwapped)
        return AMLTerm(bytes: builder.bytes)
    }

    /// A device's identity: one of PNP's, or one of ACPI's such as `QEMU0001`, four letters or digits and four
    /// hexadecimal digits, as a string.
    ///
    /// Source: ACPI 6.4, section 6.1.5 "_HID (Hardware ID)".
    ///
    /// - Throws: ``ACPIError/invalidName(_:)``.
    public static func identity(_ text: String) throws(ACPIError) -> AMLTerm {
        guard text.utf8.count == 8 else { return try eisaID(text) }
        let isValid = text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }
        guard isValid, UInt16(text.dropFirst(4), radix: 16) != nil else { throw .invalidName(text) }
        return AMLTerm(bytes: [Opcode.string] + Array(text.utf8) + [0])
    }

    /// A list of objects.
    ///
    /// - Throws: ``ACPIError/tooLong(byteCount:)`` for more than 255 of them.
    public static func package(_ elements: [AMLTerm]) throws(ACPIError) -> AMLTerm {
        guard let count = UInt8(exactly: elements.count) else { throw .tooLong(byteCount: elements.count) }
        let content = [count] + elements.flatMap(\.bytes)
        return AMLTerm(bytes: [Opcode.package] + (try AMLPackageLength.prefixed(content)))
    }

    /// Bytes.
    public static func buffer(_ content: [UInt8]) throws(ACPIError) -> AMLTerm {
        let size = integer(UInt64(content.count)).bytes
        return AMLTerm(bytes: [Opcode.buffer] + (try AMLPackageLength.prefixed(size + content)))
    }

    /// What a device occupies.
    public static func resourceTemplate(_ resources: [AMLResource]) throws(ACPIError) -> AMLTerm {
        try buffer(AMLResource.template(resources))
    }

    /// A named object.
    public static func name(_ name: String, _ value: AMLTerm) throws(ACPIError) -> AMLTerm {
        AMLTerm(bytes: [Opcode.name] + (try AMLName(name)).bytes + value.bytes)
    }

    /// Objects inside a namespace that exists.
    public static func scope(_ name: String, _ terms: [AMLTerm]) throws(ACPIError) -> AMLTerm {
        let content = (try AMLName(name)).bytes + terms.flatMap(\.bytes)
        return AMLTerm(bytes: [Opcode.scope] + (try AMLPackageLength.prefixed(content)))
    }

    /// A device, with the objects that describe it.
    public static func device(_ name: String, _ terms: [AMLTerm]) throws(ACPIError) -> AMLTerm {
        let content = (try AMLName(name)).bytes + terms.flatMap(\.bytes)
        return AMLTerm(bytes: Opcode.device + (try AMLPackageLength.prefixed(content)))
    }
}

/// Something that a device occupies.
///
/// Source: ACPI 6.4, sections 6.4.2 "Small Resource Data Type" and 6.4.3 "Large Resource Data Type".
public enum AMLResource: Hashable, Sendable {
    /// Ports that cannot be moved.
    case ports(ClosedRange<UInt16>)
    /// An interrupt line of the ISA bus, from 0 to 15: edge-triggered, active high, not shared.
    case interrupt(UInt8)
    /// Physical addresses below 4 GiB that cannot be moved.
    case memory(start: UInt32, size: UInt32)
    /// A global system interrupt: edge-triggered, active high, not shared.
    case globalInterrupt(UInt32)

    /// Each descriptor's first byte: its type and the number of bytes that follow.
    private enum Tag {
        static let interrupt: UInt8 = 0x22
        static let ports: UInt8 = 0x47
        static let end: UInt8 = 0x79
        static let fixedMemory: UInt8 = 0x86
        static let extendedInterrupt: UInt8 = 0x89
    }

    /// The device decodes all 16 bits of a port's number.
    private static let decodes16Bits: UInt8 = 1
    private static let alignment: UInt8 = 1

    /// Bit 0: the memory can be written.
    private static let isWritable: UInt8 = 1
    /// Bit 0: the device consumes the interrupt; bit 1: edge-triggered.
    private static let consumerEdgeTriggered: UInt8 = 0b11

    /// The descriptor's encoding.
    private var bytes: [UInt8] {
        var builder = ByteBuilder()
        switch self {
        case .ports(let ports):
            builder.add(Tag.ports)
            builder.add(Self.decodes16Bits)
            // The lowest and the highest place where it could be.
            builder.add(ports.lowerBound)
            builder.add(ports.lowerBound)
            builder.add(Self.alignment)
            builder.add(UInt8(truncatingIfNeeded: ports.count))
        case .interrupt(let line):
            builder.add(Tag.interrupt)
            // Smart shift: lines past 15 give an empty mask.
            builder.add(UInt16(1) << UInt16(line))
        case .memory(let start, let size):
            builder.add(Tag.fixedMemory)
            builder.add(UInt16(9))
            builder.add(Self.isWritable)
            builder.add(start)
            builder.add(size)
        case .globalInterrupt(let number):
            builder.add(Tag.extendedInterrupt)
            builder.add(UInt16(6))
            builder.add(Self.consumerEdgeTriggered)
            // One interrupt.
            builder.add(UInt8(1))
            builder.add(number)
        }
        return builder.bytes
    }

    /// In place of the checksum: there is none. It is what Intel's compiler writes, too.
    private static let noChecksum: UInt8 = 0

    /// The descriptors of a device with the end tag.
    static func template(_ resources: [AMLResource]) -> [UInt8] {
        resources.flatMap(\.bytes) + [Tag.end, noChecksum]
    }
}

/// The name of an object in the ACPI machine language (AML): `COM1`, `\_SB`, `\_SB.COM1`, `^^_CRS`.
///
/// Source: ACPI 6.4, section 20.2.2 "Name Objects Encoding".
struct AMLName: Sendable {
    private static let segmentLength = 4
    private static let dualPrefix: UInt8 = 0x2E
    private static let multiPrefix: UInt8 = 0x2F
    private static let nullName: UInt8 = 0x00
    private static let filler = UInt8(ascii: "_")

    /// The name's encoding.
    package let bytes: [UInt8]

    /// Encodes a name. Segments of less than four characters are filled up with underscores.
    ///
    /// - Throws: ``ACPIError/invalidName(_:)``.
    init(_ text: String) throws(ACPIError) {
        var encoding: [UInt8] = []
        var rest = Substring(text)
        if rest.hasPrefix("\\") {
            encoding.append(UInt8(ascii: "\\"))
            rest = rest.dropFirst()
        } else {
            while rest.hasPrefix("^") {
                encoding.append(UInt8(ascii: "^"))
                rest = rest.dropFirst()
            }
        }
        let segments = rest.isEmpty ? [] : rest.split(separator: ".", omittingEmptySubsequences: false)
        switch segments.count {
        case 0: encoding.append(Self.nullName)
        case 1: break
        case 2: encoding.append(Self.dualPrefix)
        case 3...Int(UInt8.max): encoding += [Self.multiPrefix, UInt8(segments.count)]
        default: throw .invalidName(text)
        }
        for segment in segments {
            guard let segment = Self.encode(segment.utf8) else { throw .invalidName(text) }
            encoding += segment
        }
        guard !text.isEmpty else { throw .invalidName(text) }
        bytes = encoding
    }

    /// One segment: a capital letter or underscore first, then those and digits.
    private static func encode(_ characters: Substring.UTF8View) -> [UInt8]? {
        guard let first = characters.first, characters.count <= segmentLength, isLetter(first),
            characters.allSatisfy({ isLetter($0) || isDigit($0) })
        else { return nil }
        return Array(characters) + repeatElement(filler, count: segmentLength - characters.count)
    }

    private static func isLetter(_ character: UInt8) -> Bool {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(character) || character == filler
    }

    private static func isDigit(_ character: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character)
    }
}

/// The length in front of an AML object, which counts its own bytes too.
///
/// One byte holds up to 63. Else the first byte holds the number of those that follow in its upper two bits, and the low
/// 4 bits of the length.
///
/// Source: ACPI 6.4, section 20.2.4 "Package Length Encoding".
enum AMLPackageLength {
    private static let maximumInOneByte = 0x3F
    private static let maximumFollowing = 3

    /// Content with its length in front.
    ///
    /// - Throws: ``ACPIError/tooLong(byteCount:)`` for more than 2^28 - 1 bytes with the length.
    public static func prefixed(_ content: [UInt8]) throws(ACPIError) -> [UInt8] {
        try encoding(contentLength: content.count) + content
    }

    /// The length's encoding, for content of some length.
    public static func encoding(contentLength: Int) throws(ACPIError) -> [UInt8] {
        guard contentLength >= maximumInOneByte else { return [UInt8(truncatingIfNeeded: contentLength + 1)] }
        for following in 1...maximumFollowing {
            let (total, overflow) = contentLength.addingReportingOverflow(1 + following)
            // 4 bits in the first byte, 8 in each that follows.
            guard !overflow, total < 1 << (4 + 8 * following) else { continue }
            let first = UInt8(following << 6 | total & 0x0F)
            let rest = (0..<following).map { UInt8(truncatingIfNeeded: total >> (4 + 8 * $0)) }
            return [first] + rest
        }
        throw .tooLong(byteCount: contentLength)
    }
}
