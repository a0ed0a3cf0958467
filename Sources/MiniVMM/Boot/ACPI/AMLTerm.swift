/// A piece of the ACPI machine language (AML), encoded.
///
/// Source: ACPI 6.4, section 20.2 "AML Grammar Definition".
struct AMLTerm: Sendable {
    private enum Opcode {
        static let zero: UInt8 = 0x00
        static let one: UInt8 = 0x01
        static let name: UInt8 = 0x08
        static let byte: UInt8 = 0x0A
        static let word: UInt8 = 0x0B
        static let long: UInt8 = 0x0C
        static let quad: UInt8 = 0x0E
        static let scope: UInt8 = 0x10
        static let buffer: UInt8 = 0x11
        static let package: UInt8 = 0x12
        static let device: [UInt8] = [0x5B, 0x82]
    }

    /// The piece's encoding.
    let bytes: [UInt8]

    /// An integer, in the shortest form.
    static func integer(_ value: UInt64) -> AMLTerm {
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
    static func eisaID(_ text: String) throws(ACPIError) -> AMLTerm {
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

    /// A list of objects.
    ///
    /// - Throws: ``ACPIError/tooLong(byteCount:)`` for more than 255 of them.
    static func package(_ elements: [AMLTerm]) throws(ACPIError) -> AMLTerm {
        guard let count = UInt8(exactly: elements.count) else { throw .tooLong(byteCount: elements.count) }
        let content = [count] + elements.flatMap(\.bytes)
        return AMLTerm(bytes: [Opcode.package] + (try AMLPackageLength.prefixed(content)))
    }

    /// Bytes.
    static func buffer(_ content: [UInt8]) throws(ACPIError) -> AMLTerm {
        let size = integer(UInt64(content.count)).bytes
        return AMLTerm(bytes: [Opcode.buffer] + (try AMLPackageLength.prefixed(size + content)))
    }

    /// What a device occupies.
    static func resourceTemplate(_ resources: [AMLResource]) throws(ACPIError) -> AMLTerm {
        try buffer(AMLResource.template(resources))
    }

    /// A named object.
    static func name(_ name: String, _ value: AMLTerm) throws(ACPIError) -> AMLTerm {
        AMLTerm(bytes: [Opcode.name] + (try AMLName(name)).bytes + value.bytes)
    }

    /// Objects inside a namespace that exists.
    static func scope(_ name: String, _ terms: [AMLTerm]) throws(ACPIError) -> AMLTerm {
        let content = (try AMLName(name)).bytes + terms.flatMap(\.bytes)
        return AMLTerm(bytes: [Opcode.scope] + (try AMLPackageLength.prefixed(content)))
    }

    /// A device, with the objects that describe it.
    static func device(_ name: String, _ terms: [AMLTerm]) throws(ACPIError) -> AMLTerm {
        let content = (try AMLName(name)).bytes + terms.flatMap(\.bytes)
        return AMLTerm(bytes: Opcode.device + (try AMLPackageLength.prefixed(content)))
    }
}
