/// The Root System Description Pointer: where a guest starts to read.
///
/// Source: ACPI 6.4, section 5.2.5.3 "Root System Description Pointer (RSDP) Structure".
enum RSDP {
    /// The bytes of the structure.
    static let size = 36
    /// What its address is a multiple of, for guests that search for it.
    static let alignment: UInt64 = 16

    private static let revision: UInt8 = 2
    /// The first checksum covers the part that ACPI 1.0 had.
    private static let firstPart = 20
    private static let firstChecksumOffset = 8
    private static let secondChecksumOffset = 32

    /// The structure, for an XSDT.
    static func bytes(xsdt: GuestPhysicalAddress) -> [UInt8] {
        var builder = ByteBuilder()
        builder.add("RSD PTR", length: 8)
        builder.add(UInt8(0))
        builder.add(ACPITable.oemID, length: 6)
        builder.add(revision)
        // There is no RSDT, which holds 32-bit addresses.
        builder.add(UInt32(0))
        builder.add(UInt32(size))
        builder.add(xsdt.rawValue)
        builder.add(UInt8(0))
        builder.addZeros(3)
        let first = ByteBuilder.checksum(of: builder.bytes.prefix(firstPart))
        builder.replace(at: firstChecksumOffset, with: first)
        builder.replace(at: secondChecksumOffset, with: ByteBuilder.checksum(of: builder.bytes))
        return builder.bytes
    }
}
