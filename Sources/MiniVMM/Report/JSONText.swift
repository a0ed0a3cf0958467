import FoundationEssentials

/// How MiniVMM writes JSON.
enum JSONText {
    /// A value as JSON on several lines, with sorted keys and a newline at the end.
    static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try Array(encoder.encode(value)) + [UInt8(ascii: "\n")]
    }
}
