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
    let bytes: [UInt8]

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
