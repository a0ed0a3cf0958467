/// A table with the header that most ACPI tables share.
///
/// Source: ACPI 6.4, section 5.2.6 "System Description Table Header".
enum ACPITable {
    /// The bytes of the header.
    static let headerSize = 36
    /// Who made the tables, and for which machine.
    static let oemID = "MINVMM"
    private static let oemTableID = "MINIVMM"
    private static let oemRevision: UInt32 = 1
    private static let creatorID = "MVMM"
    private static let creatorRevision: UInt32 = 1
    private static let checksumOffset = 9

    /// A whole table.
    ///
    /// - Parameters:
    ///   - signature: Four characters.
    ///   - revision: The revision of the table's layout.
    ///   - body: What follows the header.
    static func bytes(signature: String, revision: UInt8, body: [UInt8]) -> [UInt8] {
        var table = ByteBuilder()
        table.add(signature, length: 4)
        table.add(UInt32(truncatingIfNeeded: headerSize + body.count))
        table.add(revision)
        table.add(UInt8(0))
        table.add(oemID, length: 6)
        table.add(oemTableID, length: 8)
        table.add(oemRevision)
        table.add(creatorID, length: 4)
        table.add(creatorRevision)
        table.add(body)
        table.replace(at: checksumOffset, with: ByteBuilder.checksum(of: table.bytes))
        return table.bytes
    }
}
