/// The length in front of an AML object, which counts its own bytes too.
///
/// One byte holds up to 63. Else the first byte holds the number of those that follow in its upper two bits, and the low
/// 4 bits of the length.
///
/// Source: ACPI 6.4, section 20.2.4 "Package Length Encoding".
enum AMLPackageLength {
    private static let greatestInOneByte = 0x3F
    private static let greatestFollowing = 3

    /// Content with its length in front.
    ///
    /// - Throws: ``ACPIError/tooLong(byteCount:)`` for more than 2^28 - 1 bytes with the length.
    static func prefixed(_ content: [UInt8]) throws(ACPIError) -> [UInt8] {
        try encoding(contentLength: content.count) + content
    }

    /// The length's encoding, for content of some length.
    static func encoding(contentLength: Int) throws(ACPIError) -> [UInt8] {
        guard contentLength >= greatestInOneByte else { return [UInt8(truncatingIfNeeded: contentLength + 1)] }
        for following in 1...greatestFollowing {
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
