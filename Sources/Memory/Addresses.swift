import Host

/// An address in the guest's physical memory.
public struct GuestPhysicalAddress: RawRepresentable, Hashable, Comparable, Sendable {
    /// The address, in bytes.
    public let rawValue: UInt64

    /// Wraps an address, in bytes.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Wraps an address, in bytes.
    @inlinable
    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    @inlinable
    public static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The address `bytes` further on, modulo 2^64: guests give offsets, and a check follows before any access.
    @inlinable
    public static func &+ (address: Self, bytes: UInt64) -> Self {
        Self(address.rawValue &+ bytes)
    }

    /// The address `bytes` before, modulo 2^64: guests give offsets, and a check follows before any access.
    @inlinable
    public static func &- (address: Self, bytes: UInt64) -> Self {
        Self(address.rawValue &- bytes)
    }
}

extension GuestPhysicalAddress: CustomStringConvertible {
    public var description: String { "0x" + String(rawValue, radix: 16) }
}

/// A real-mode address: a segment and an offset.
public struct SegmentedAddress: Hashable, Sendable {
    /// The segment: the linear address divided by 16.
    public let segment: UInt16
    /// The offset from the segment's start, in bytes.
    public let offset: UInt16

    /// The given segment and offset.
    public init(segment: UInt16, offset: UInt16) {
        self.segment = segment
        self.offset = offset
    }

    /// The linear address. Source: Intel SDM, volume 3, "Real-address mode".
    public var linear: UInt64 { UInt64(segment) << 4 + UInt64(offset) }
}

extension SegmentedAddress: CustomStringConvertible {
    /// Four hexadecimal digits each, with a colon between, such as `07C0:0000`.
    public var description: String {
        "\(Hex.digits(segment, 4)):\(Hex.digits(offset, 4))".uppercased()
    }
}

extension SegmentedAddress {
    /// Reads `SEGMENT:OFFSET`, each of one to four digits in base 16, with or without `0x` before them.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let segment = Self.part(parts[0]), let offset = Self.part(parts[1]) else { return nil }
        self.init(segment: segment, offset: offset)
    }

    private static func part(_ text: some StringProtocol) -> UInt16? {
        let lowercase = text.lowercased()
        let digits = lowercase.hasPrefix("0x") ? lowercase.dropFirst(2) : lowercase[...]
        // UInt16 itself would take a sign, and leading zeros without end.
        guard digits.count <= 4, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
        return UInt16(digits, radix: 16)
    }
}

/// How many bytes one access of a guest moves.
public enum AccessWidth: RawRepresentable, Hashable, Sendable, CaseIterable {
    /// 1 byte.
    case byte
    /// 2 bytes.
    case word
    /// 4 bytes.
    case long
    /// 8 bytes; MMIO only.
    case quad

    // Written out, because what the compiler writes is not inlined into other modules, and every access asks.

    /// The width of a number of bytes, if there is one.
    @inlinable
    public init?(rawValue: Int) {
        switch rawValue {
        case 1: self = .byte
        case 2: self = .word
        case 4: self = .long
        case 8: self = .quad
        default: return nil
        }
    }

    /// The number of bytes.
    @inlinable
    public var rawValue: Int {
        switch self {
        case .byte: 1
        case .word: 2
        case .long: 4
        case .quad: 8
        }
    }

    /// A value of this width with all bits set: what reads of nothing give.
    @inlinable
    public var allOnes: UInt64 {
        // Widths are 1 to 8 bytes, so the shift is 0 to 56.
        UInt64.max >> UInt64(64 &- 8 &* rawValue)
    }
}
