/// The Firmware ACPI Control Structure: nothing but its presence is used, which the FADT of a machine with ACPI's fixed
/// hardware demands.
///
/// Source: ACPI 6.4, section 5.2.10 "Firmware ACPI Control Structure (FACS)".
enum FACS {
    /// The bytes of the structure, and what its address is a multiple of.
    static let size = 64

    private static let version: UInt8 = 2
    /// From the start to the version: signature, length, hardware signature, waking vector, global lock, flags and the
    /// wide waking vector.
    private static let versionOffset = 32

    /// The structure. It has no checksum.
    static var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.add("FACS", length: 4)
        builder.add(UInt32(size))
        builder.addZeros(versionOffset - builder.bytes.count)
        builder.add(version)
        builder.addZeros(size - builder.bytes.count)
        return builder.bytes
    }
}
