import Memory

/// The Fixed ACPI Description Table: the fixed hardware, and what a PC has or has not.
///
/// Source: ACPI 6.4, section 5.2.9 "Fixed ACPI Description Table (FADT)". The fields stand in the order of its table.
package enum FADT {
    /// The bytes of the table in revision 6.
    package static let size = 276

    private static let revision: UInt8 = 6
    private static let minorRevision: UInt8 = 4
    /// C2 and C3 take too long to be used; 101 and 1001 µs are the least that say so.
    private static let secondLevelLatency: UInt16 = 101
    private static let thirdLevelLatency: UInt16 = 1_001

    /// IAPC_BOOT_ARCH: there is a serial port to be found at its usual place; there is no VGA. The bit for a keyboard
    /// controller (2) is not set, so that Linux does not probe for one.
    private static let hasLegacyDevices: UInt16 = 0x0001
    private static let hasNoVGA: UInt16 = 0x0004

    /// Flags.
    private enum Flag {
        static let wbinvdWorks: UInt32 = 1 << 0
        static let c1Works: UInt32 = 1 << 2
        /// No sleep button in the fixed hardware. Of the power button the flag is not set: it is there.
        static let noFixedSleepButton: UInt32 = 1 << 5
        static let noFixedClockWake: UInt32 = 1 << 6
        static let timerHas32Bits: UInt32 = 1 << 8
        static let hasResetRegister: UInt32 = 1 << 10
        static let headless: UInt32 = 1 << 12
        static let all =
            wbinvdWorks | c1Works | noFixedSleepButton | noFixedClockWake | timerHas32Bits
            | hasResetRegister | headless
    }

    private static func address(_ block: ACPIDescription.FixedHardware.Block?, accessSize: UInt8) -> [UInt8] {
        guard let block else { return ACPIGenericAddress.none }
        return ACPIGenericAddress(port: block.port, bitWidth: 8 * block.length, accessSize: accessSize).bytes
    }

    /// The table.
    ///
    /// - Parameters:
    ///   - facs: Below 4 GiB.
    ///   - dsdt: Below 4 GiB.
    static func bytes(
        facs: GuestPhysicalAddress, dsdt: GuestPhysicalAddress, describing description: ACPIDescription
    ) -> [UInt8] {
        var body = ByteBuilder()
        addFirstVersion(facs: facs, dsdt: dsdt, describing: description, to: &body)
        addExtensions(dsdt: dsdt, describing: description, to: &body)
        return ACPITable.bytes(signature: "FACP", revision: revision, body: body.bytes)
    }

    /// The fields that ACPI 1.0 had, with 32-bit addresses.
    private static func addFirstVersion(
        facs: GuestPhysicalAddress,
        dsdt: GuestPhysicalAddress,
        describing description: ACPIDescription,
        to body: inout ByteBuilder
    ) {
        let hardware = description.fixedHardware
        body.add(UInt32(truncatingIfNeeded: facs.rawValue))
        body.add(UInt32(truncatingIfNeeded: dsdt.rawValue))
        // Reserved, and the preferred profile: none.
        body.addZeros(2)
        body.add(UInt16(hardware?.interrupt ?? 0))
        // No SMI command, and so nothing to write to it: the machine is always in ACPI mode.
        body.addZeros(4 + 4)
        body.add(UInt32(hardware?.eventBlock.port ?? 0))
        body.add(UInt32(0))
        body.add(UInt32(hardware?.controlBlock.port ?? 0))
        // PM1b control, PM2 control.
        body.addZeros(4 + 4)
        body.add(UInt32(hardware?.timerBlock.port ?? 0))
        // General-purpose events 0 and 1.
        body.addZeros(4 + 4)
        body.add(hardware?.eventBlock.length ?? UInt8(0))
        body.add(hardware?.controlBlock.length ?? UInt8(0))
        body.add(UInt8(0))
        body.add(hardware?.timerBlock.length ?? UInt8(0))
        // Lengths and base of the general-purpose events, C-state command.
        body.addZeros(4)
        body.add(secondLevelLatency)
        body.add(thirdLevelLatency)
        // Size and stride for flushing caches by reading, duty cycle, alarm for days and months.
        body.addZeros(2 + 2 + 2 + 2)
        body.add(description.centuryRegister)
        body.add((description.hasLegacyDevices ? hasLegacyDevices : 0) | hasNoVGA)
        body.addZeros(1)
        body.add(description.resetRegister == nil ? Flag.all & ~Flag.hasResetRegister : Flag.all)
    }

    /// The fields that came later, with addresses of 64 bits.
    private static func addExtensions(
        dsdt: GuestPhysicalAddress, describing description: ACPIDescription, to body: inout ByteBuilder
    ) {
        let hardware = description.fixedHardware
        let reset = description.resetRegister
        body.add(
            reset.map { ACPIGenericAddress(port: $0.port, bitWidth: 8, accessSize: 1).bytes } ?? ACPIGenericAddress.none
        )
        body.add(reset?.value ?? UInt8(0))
        // Boot architecture of ARM.
        body.addZeros(2)
        body.add(minorRevision)
        // The FACS's address stands in the 32-bit field, and must not stand in both.
        body.add(UInt64(0))
        body.add(dsdt.rawValue)
        body.add(address(hardware?.eventBlock, accessSize: 2))
        body.add(ACPIGenericAddress.none)
        body.add(address(hardware?.controlBlock, accessSize: 2))
        // PM1b control, PM2 control.
        body.add(ACPIGenericAddress.none)
        body.add(ACPIGenericAddress.none)
        body.add(address(hardware?.timerBlock, accessSize: 3))
        // General-purpose events 0 and 1; sleep control and status, which machines without fixed hardware have.
        for _ in 0..<4 { body.add(ACPIGenericAddress.none) }
        // The hypervisor's identity: CPUID gives it.
        body.add(UInt64(0))
    }
}
