/// What ACPI tells a guest of the devices that are attached to its machine.
package struct ACPIDescription: Sendable {
    /// The fixed hardware of ACPI.
    package struct FixedHardware: Sendable {
        /// A block of registers.
        package struct Block: Sendable {
            /// The first port.
            let port: UInt16
            /// Bytes.
            let length: UInt8
        }

        /// The system control interrupt (SCI), level-triggered.
        let interrupt: UInt8
        /// PM1a event registers.
        let eventBlock: Block
        /// PM1a control register.
        let controlBlock: Block
        /// PM timer.
        let timerBlock: Block
        /// The sleep type of S5, soft-off.
        let softOffSleepType: UInt8
    }

    /// A register that resets the machine.
    package struct ResetRegister: Sendable {
        let port: UInt16
        let value: UInt8
    }

    /// The devices in the namespace `\_SB`.
    package var devices: [AMLTerm] = []
    /// The fixed hardware, if there is any.
    package var fixedHardware: FixedHardware?
    /// The reset register, if there is one.
    package var resetRegister: ResetRegister?
    /// The byte of the CMOS clock that holds the century, or 0.
    package var centuryRegister: UInt8 = 0
    /// Whether there are devices of the ISA bus at their usual places that a guest may look for, such as a serial port.
    package var hasLegacyDevices = false

    /// Nothing.
    package init() {}
}

/// The Differentiated System Description Table: the devices that cannot be found otherwise, and how to switch off.
///
/// In ASL, for a serial port, a clock and fixed hardware:
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
/// Source: ACPI 6.4, sections 5.2.11.1 "Differentiated System Description Table (DSDT)" and 7.4.2 "\_Sx"; the identities
/// are from the list of Plug and Play devices that its section 5.6.7 refers to.
enum DSDT {
    /// 2 and above: integers have 64 bits.
    private static let revision: UInt8 = 2

    /// The table.
    static func bytes(_ description: ACPIDescription) throws(ACPIError) -> [UInt8] {
        var body = try AMLTerm.scope("\\_SB", description.devices).bytes
        if let hardware = description.fixedHardware {
            // What to write to PM1a and PM1b control for soft-off, and two reserved numbers.
            let softOff = AMLTerm.integer(UInt64(hardware.softOffSleepType))
            let zero = AMLTerm.integer(0)
            body += try AMLTerm.name("_S5", .package([softOff, zero, zero, zero])).bytes
        }
        return ACPITable.bytes(signature: "DSDT", revision: revision, body: body)
    }
}

extension AMLTerm {
    /// A Plug and Play device, with what it occupies.
    ///
    /// - Parameters:
    ///   - name: The name in the namespace: up to four capitals, digits and underscores.
    ///   - identity: The identity, such as `PNP0501` or `QEMU0001`.
    ///   - resources: What it occupies.
    /// - Throws: ``ACPIError`` when the name or the identity is malformed.
    public static func device(
        _ name: String, identity: String, resources: [AMLResource]
    ) throws(ACPIError) -> AMLTerm {
        try .device(name, [.name("_HID", .identity(identity)), .name("_CRS", .resourceTemplate(resources))])
    }
}
