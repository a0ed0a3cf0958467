/// Numbers in hexadecimal, as reports and errors show them.
package enum Hex {
    /// `0x` and as many digits as the number needs.
    package static func number(_ value: some FixedWidthInteger & UnsignedInteger) -> String {
        "0x" + String(value, radix: 16)
    }

    /// `0x` and two digits.
    package static func byte(_ value: UInt8) -> String {
        "0x" + digits(value, 2)
    }

    /// Two digits a byte, with a space between.
    package static func bytes(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { digits($0, 2) }.joined(separator: " ")
    }

    /// At least `width` digits, padded with zeros.
    package static func digits(_ value: some FixedWidthInteger & UnsignedInteger, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// A number of bytes as people write it: `64M`, `1GiB`, `4096`.
///
/// All units are binary: K, M, G and T are 2^10, 2^20, 2^30 and 2^40 bytes, with or without `B` or `iB` after them, in
/// capitals or not. A number without a unit counts bytes. Zero is no size.
public struct ByteCount: RawRepresentable, Hashable, Comparable, Sendable {
    /// Bytes.
    public let rawValue: UInt64

    /// Wraps a number of bytes.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Wraps a number of bytes.
    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Reads a size as a person wrote it. Nil for anything but digits and a unit, for 0, and for 2^64 or more.
    public init?(_ text: some StringProtocol) {
        let digits = text.prefix { $0.isASCII && $0.isWholeNumber }
        guard !digits.isEmpty, let number = UInt64(digits), number > 0,
            let shift = Self.shift(ofUnit: text.dropFirst(digits.count).lowercased())
        else { return nil }
        guard number <= UInt64.max >> shift else { return nil }
        rawValue = number << shift
    }

    /// The units, smallest first; each is 2^10 of the one before.
    private static let units = ["", "k", "m", "g", "t"]
    private static let bitsPerUnit: UInt64 = 10

    /// How many bits a unit shifts a number by.
    private static func shift(ofUnit text: String) -> UInt64? {
        for (index, unit) in units.enumerated() where text == unit || text == unit + "b" || text == unit + "ib" {
            // Bytes have no binary multiple of their own: "ib" alone is not a unit.
            guard index > 0 || text != "ib" else { return nil }
            return UInt64(index) * bitsPerUnit
        }
        return nil
    }

    public static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension ByteCount: CustomStringConvertible {
    /// The number in the largest unit that divides it, such as `64 MiB`.
    public var description: String {
        let maximum = Self.units.count - 1
        let index = rawValue == 0 ? 0 : min(rawValue.trailingZeroBitCount / Int(Self.bitsPerUnit), maximum)
        guard index > 0 else { return rawValue == 1 ? "1 byte" : "\(rawValue) bytes" }
        return "\(rawValue >> (UInt64(index) * Self.bitsPerUnit)) \(Self.units[index].uppercased())iB"
    }
}
