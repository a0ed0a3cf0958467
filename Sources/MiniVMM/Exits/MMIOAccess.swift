/// An MMIO exit: one access to a physical address without memory.
public struct MMIOAccess {
    /// The address.
    public let address: GuestPhysicalAddress
    /// Bytes, 1 to 8. KVM splits longer accesses, and some instructions give sizes between.
    public let byteCount: Int
    /// The bytes, little-endian, in the run page. What was written stands there; what is read goes there.
    ///
    /// Valid until the vCPU runs again.
    public let data: UnsafeMutableRawPointer

    /// The width, where the access has one that devices know.
    @inline(__always)
    var width: AccessWidth? { AccessWidth(rawValue: byteCount) }

    /// The bytes as a number.
    @inline(__always)
    var value: UInt64 {
        // Sound: the run page keeps eight bytes for MMIO data, whatever the length; those past it are masked out.
        let word = UInt64(littleEndian: data.loadUnaligned(as: UInt64.self))
        return word & (UInt64.max >> UInt64(64 &- 8 &* byteCount))
    }

    /// Answers a read.
    @inline(__always)
    func setValue(_ value: UInt64) {
        // Sound: as for reading; KVM takes the low byteCount bytes only.
        data.storeBytes(of: value.littleEndian, as: UInt64.self)
    }
}
