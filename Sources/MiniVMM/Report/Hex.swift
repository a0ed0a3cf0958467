/// Numbers in hexadecimal, as reports and errors show them.
enum Hex {
    /// `0x` and as many digits as the number needs.
    static func number(_ value: some FixedWidthInteger & UnsignedInteger) -> String {
        "0x" + String(value, radix: 16)
    }

    /// `0x` and two digits.
    static func byte(_ value: UInt8) -> String {
        "0x" + digits(value, 2)
    }

    /// Two digits a byte, with a space between.
    static func bytes(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { digits($0, 2) }.joined(separator: " ")
    }

    /// At least `width` digits, padded with zeros.
    static func digits(_ value: some FixedWidthInteger & UnsignedInteger, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
