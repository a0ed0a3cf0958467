/// The Fixed ACPI Description Table: the fixed hardware, and what a PC has or has not.
///
/// Source: ACPI 6.4, section 5.2.9 "Fixed ACPI Description Table (FADT)". The fields stand in the order of its table.
enum FADT {
    /// The bytes of the table in revision 6.
    static let size = 276
    /// The interrupt of the fixed hardware, a level-triggered one (see ``MADT``).
    static let systemControlInterrupt: UInt16 = 9

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

    private typealias Hardware = ACPIPowerManagement

    private static func port(_ block: (offset: UInt16, length: UInt8)) -> UInt16 {
        PortMap.powerManagement.lowerBound + block.offset
    }

    private static func address(_ block: (offset: UInt16, length: UInt8), accessSize: UInt8) -> [UInt8] {
        ACPIGenericAddress(port: port(block), bitWidth: 8 * block.length, accessSize: accessSize).bytes
    }

    /// The table.
    ///
    /// - Parameters:
    ///   - facs: Below 4 GiB.
    ///   - dsdt: Below 4 GiB.
    static func bytes(facs: GuestPhysicalAddress, dsdt: GuestPhysicalAddress) -> [UInt8] {
        var body = ByteBuilder()
        addFirstVersion(facs: facs, dsdt: dsdt, to: &body)
        addExtensions(dsdt: dsdt, to: &body)
        return ACPITable.bytes(signature: "FACP", revision: revision, body: body.bytes)
    }

    /// The fields that ACPI 1.0 had, with 32-bit addresses.
    private static func addFirstVersion(
        facs: GuestPhysicalAddress,
        dsdt: GuestPhysicalAddress,
        to body: inout ByteBuilder
    ) {
        body.add(UInt32(truncatingIfNeeded: facs.rawValue))
        body.add(UInt32(truncatingIfNeeded: dsdt.rawValue))
        // Reserved, and the preferred profile: none.
        body.addZeros(2)
        body.add(systemControlInterrupt)
        // No SMI command, and so nothing to write to it: the machine is always in ACPI mode.
        body.addZeros(4 + 4)
        body.add(UInt32(port(Hardware.eventBlock)))
        body.add(UInt32(0))
        body.add(UInt32(port(Hardware.controlBlock)))
        // PM1b control, PM2 control.
        body.addZeros(4 + 4)
        body.add(UInt32(port(Hardware.timerBlock)))
        // General-purpose events 0 and 1.
        body.addZeros(4 + 4)
        body.add(Hardware.eventBlock.length)
        body.add(Hardware.controlBlock.length)
        body.add(UInt8(0))
        body.add(Hardware.timerBlock.length)
        // Lengths and base of the general-purpose events, C-state command.
        body.addZeros(4)
        body.add(secondLevelLatency)
        body.add(thirdLevelLatency)
        // Size and stride for flushing caches by reading, duty cycle, alarm for days and months.
        body.addZeros(2 + 2 + 2 + 2)
        body.add(CMOSRegister.century)
        body.add(hasLegacyDevices | hasNoVGA)
        body.addZeros(1)
        body.add(Flag.all)
    }

    /// The fields that came later, with addresses of 64 bits.
    private static func addExtensions(dsdt: GuestPhysicalAddress, to body: inout ByteBuilder) {
        body.add(ACPIGenericAddress(port: PortMap.resetControl, bitWidth: 8, accessSize: 1).bytes)
        body.add(ResetControlRegister.hardReset)
        // Boot architecture of ARM.
        body.addZeros(2)
        body.add(minorRevision)
        // The FACS's address stands in the 32-bit field, and must not stand in both.
        body.add(UInt64(0))
        body.add(dsdt.rawValue)
        body.add(address(Hardware.eventBlock, accessSize: 2))
        body.add(ACPIGenericAddress.none)
        body.add(address(Hardware.controlBlock, accessSize: 2))
        // PM1b control, PM2 control.
        body.add(ACPIGenericAddress.none)
        body.add(ACPIGenericAddress.none)
        body.add(address(Hardware.timerBlock, accessSize: 3))
        // General-purpose events 0 and 1; sleep control and status, which machines without fixed hardware have.
        for _ in 0..<4 { body.add(ACPIGenericAddress.none) }
        // The hypervisor's identity: CPUID gives it.
        body.add(UInt64(0))
    }
}
