/// A device that a guest reaches by accesses to physical addresses without memory.
///
/// What ``PortIODevice`` says of threads and of the machine holds here too.
public protocol MMIODevice: AnyObject, Sendable {
    /// Answers a read of `width` bytes.
    ///
    /// - Parameter offset: The address, counted from the first of the device's range.
    func readMMIO(_ offset: UInt64, width: AccessWidth) -> UInt64

    /// Takes a write of `width` bytes.
    ///
    /// - Parameters:
    ///   - offset: The address, counted from the first of the device's range.
    ///   - value: The value, in the low bytes; the others are 0.
    func writeMMIO(_ offset: UInt64, width: AccessWidth, value: UInt64)
}
