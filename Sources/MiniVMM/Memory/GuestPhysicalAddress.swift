/// An address in the guest's physical memory.
public struct GuestPhysicalAddress: RawRepresentable, Hashable, Comparable, Sendable {
    /// The address, in bytes.
    public let rawValue: UInt64

    /// Wraps an address, in bytes.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Wraps an address, in bytes.
    public init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The address `bytes` further on, modulo 2^64: guests give offsets, and a check follows before any access.
    public static func &+ (address: Self, bytes: UInt64) -> Self {
        Self(address.rawValue &+ bytes)
    }

    /// The address `bytes` before, modulo 2^64: guests give offsets, and a check follows before any access.
    public static func &- (address: Self, bytes: UInt64) -> Self {
        Self(address.rawValue &- bytes)
    }
}

extension GuestPhysicalAddress: CustomStringConvertible {
    public var description: String { "0x" + String(rawValue, radix: 16) }
}
