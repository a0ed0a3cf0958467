/// A port I/O exit: one IN or OUT, or a run of items of one INS or OUTS.
public struct PortAccess {
    /// The port.
    public let port: UInt16
    /// Bytes of an item: 1, 2 or 4.
    public let width: AccessWidth
    /// The number of items, at least 1; more for string instructions with a repeat prefix.
    public let count: Int
    /// The items, one after another in the run page. What was written stands there; what is read goes there.
    ///
    /// Valid until the vCPU runs again.
    public let data: UnsafeMutableRawPointer

    /// The item with the given number, in the low bytes.
    @inline(__always)
    func item(_ index: Int) -> UInt32 {
        let address = data + index &* width.rawValue
        // Sound: `Exit` has checked that `count` items of this width lie in the run page, and index < count.
        return switch width {
        case .byte: UInt32(address.load(as: UInt8.self))
        case .word: UInt32(UInt16(littleEndian: address.loadUnaligned(as: UInt16.self)))
        case .long, .quad: UInt32(littleEndian: address.loadUnaligned(as: UInt32.self))
        }
    }

    /// Answers the item with the given number from the low bytes of a value.
    @inline(__always)
    func setItem(_ index: Int, _ value: UInt32) {
        let address = data + index &* width.rawValue
        // Sound: as for reading.
        switch width {
        case .byte: address.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case .word: address.storeBytes(of: UInt16(truncatingIfNeeded: value).littleEndian, as: UInt16.self)
        case .long, .quad: address.storeBytes(of: value.littleEndian, as: UInt32.self)
        }
    }
}
