/// Where a register is: the Generic Address Structure of ACPI, for registers in I/O space.
///
/// Source: ACPI 6.4, section 5.2.3.2 "Generic Address Structure".
struct ACPIGenericAddress: Hashable, Sendable {
    private static let ioSpace: UInt8 = 1

    let port: UInt16
    let bitWidth: UInt8
    /// How to access it: 1 by bytes, 2 by words, 3 by 32 bits.
    let accessSize: UInt8

    static let byteCount = 12

    /// What stands for a register that does not exist.
    static let none = [UInt8](repeating: 0, count: byteCount)

    var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.add(Self.ioSpace)
        builder.add(bitWidth)
        builder.add(UInt8(0))
        builder.add(accessSize)
        builder.add(UInt64(port))
        return builder.bytes
    }
}
