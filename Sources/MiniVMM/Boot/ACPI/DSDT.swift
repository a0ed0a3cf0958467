/// The Differentiated System Description Table: the devices that cannot be found otherwise, and how to switch off.
///
/// In ASL:
///
///     Scope (\_SB) {
///         Device (COM1) {
///             Name (_HID, EisaId ("PNP0501"))
///             Name (_CRS, ResourceTemplate () { IO (Decode16, 0x3F8, 0x3F8, 1, 8) IRQNoFlags () {4} })
///         }
///         Device (RTC) {
///             Name (_HID, EisaId ("PNP0B00"))
///             Name (_CRS, ResourceTemplate () { IO (Decode16, 0x70, 0x70, 1, 2) })
///         }
///     }
///     Name (_S5, Package () {5, 0, 0, 0})
///
/// The clock has no interrupt (``CMOSClock``). The keyboard controller is not there on purpose: Linux looks for it no
/// further (``FADT``).
///
/// Source: ACPI 6.4, sections 5.2.11.1 "Differentiated System Description Table (DSDT)" and 7.4.2 "\_Sx"; the identities
/// are from the list of Plug and Play devices that its section 5.6.7 refers to.
enum DSDT {
    /// 2 and above: integers have 64 bits.
    private static let revision: UInt8 = 2
    /// COM1's interrupt on a PC.
    static let serialInterrupt: UInt8 = 4

    /// The table.
    static func bytes() throws(ACPIError) -> [UInt8] {
        let devices = try AMLTerm.scope(
            "\\_SB",
            [
                device("COM1", "PNP0501", [.ports(PortMap.serial), .interrupt(serialInterrupt)]),
                device("RTC", "PNP0B00", [.ports(PortMap.cmos)]),
            ]
        )
        // What to write to PM1a and PM1b control for soft-off, and two reserved numbers.
        let softOff = AMLTerm.integer(UInt64(ACPIPowerManagement.softOffSleepType))
        let zero = AMLTerm.integer(0)
        let sleepState = try AMLTerm.name("_S5", .package([softOff, zero, zero, zero]))
        return ACPITable.bytes(signature: "DSDT", revision: revision, body: devices.bytes + sleepState.bytes)
    }

    private static func device(
        _ name: String,
        _ identity: String,
        _ resources: [AMLResource]
    ) throws(ACPIError) -> AMLTerm {
        try .device(
            name,
            [
                .name("_HID", .eisaID(identity)),
                .name("_CRS", .resourceTemplate(resources)),
            ]
        )
    }
}
