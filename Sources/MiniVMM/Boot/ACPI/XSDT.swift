/// The Extended System Description Table: where the other tables are.
///
/// Source: ACPI 6.4, section 5.2.8 "Extended System Description Table (XSDT)".
enum XSDT {
    private static let revision: UInt8 = 1

    /// The table, for the addresses of others.
    static func bytes(tables: [GuestPhysicalAddress]) -> [UInt8] {
        var body = ByteBuilder()
        for table in tables { body.add(table.rawValue) }
        return ACPITable.bytes(signature: "XSDT", revision: revision, body: body.bytes)
    }
}
