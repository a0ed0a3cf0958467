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
