/// How many bytes one access of a guest moves.
public enum AccessWidth: Int, Hashable, Sendable, CaseIterable {
    /// 1 byte.
    case byte = 1
    /// 2 bytes.
    case word = 2
    /// 4 bytes.
    case long = 4
    /// 8 bytes; MMIO only.
    case quad = 8

    /// A value of this width with all bits set: what reads of nothing give.
    public var allOnes: UInt64 {
        // Widths are 1 to 8 bytes, so the shift is 0 to 56.
        UInt64.max >> UInt64(64 &- 8 &* rawValue)
    }
}
