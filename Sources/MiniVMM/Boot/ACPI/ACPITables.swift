/// What ACPI tells a guest of the machine: one stretch of bytes to be put into the guest's memory.
///
/// In it, in this order: RSDP, FACS, DSDT, FADT, MADT, XSDT. The tables name each other by address, so they are built
/// for the place where they will stand. Guests find the RSDP by the address that a boot protocol hands them, or by
/// searching from 0xE0000 to 0xFFFFF.
public struct ACPITables: Sendable {
    /// The most vCPUs: a local APIC's identity has 8 bits, and the last, 255, is every vCPU's.
    public static let greatestVCPUCount = 255

    /// A table and where it stands.
    public struct Table: Hashable, Sendable {
        /// Its signature, such as `FACP`; for the pointer to all others `RSDP`.
        public let name: String
        /// The address of its first byte.
        public let address: GuestPhysicalAddress
        /// Its length in bytes.
        public let byteCount: Int
    }

    /// The address of the first byte.
    public let start: GuestPhysicalAddress
    /// All tables, with gaps of zeros between them.
    public private(set) var bytes: [UInt8] = []
    /// Where each table stands.
    public private(set) var tables: [Table] = []
    /// Where a guest starts to read: the RSDP.
    public private(set) var rsdp: GuestPhysicalAddress

    /// Every table but the RSDP and the FACS, which ask for more, starts at a multiple of this.
    private static let alignment: UInt64 = 16
    private static let end: UInt64 = 1 << 32

    private init(start: GuestPhysicalAddress) {
        self.start = start
        rsdp = start
    }

    /// Builds the tables.
    ///
    /// - Parameters:
    ///   - start: Where the bytes will stand: any address from which they end below 4 GiB. Multiples of 64 waste nothing.
    ///   - vcpuCount: The vCPUs, whose APIC identities are 0 and on.
    ///   - timerInput: The I/O APIC's input that the timer's interrupt 0 arrives at: 0 with the routes that KVM makes by
    ///     itself, 2 where they have been changed to those of a PC.
    /// - Returns: About 1 KiB, and 8 bytes for each vCPU.
    /// - Throws: ``ACPIError``.
    public static func build(
        at start: GuestPhysicalAddress,
        vcpuCount: Int,
        timerInput: UInt32 = 0
    ) throws(ACPIError) -> ACPITables {
        guard (1...greatestVCPUCount).contains(vcpuCount) else { throw .vcpuCount(vcpuCount) }
        guard start.rawValue < end else { throw .outOfReach(start) }
        var tables = ACPITables(start: start)
        // The RSDP names the XSDT, which comes last: it gets its place now and its content then.
        let rsdp = tables.add("RSDP", [UInt8](repeating: 0, count: RSDP.size), alignment: RSDP.alignment)
        let facs = tables.add("FACS", FACS.bytes, alignment: UInt64(FACS.size))
        let dsdt = tables.add("DSDT", try DSDT.bytes())
        let fadt = tables.add("FACP", FADT.bytes(facs: facs, dsdt: dsdt))
        let madt = tables.add(
            "APIC",
            MADT.bytes(vcpuCount: UInt8(truncatingIfNeeded: vcpuCount), timerInput: timerInput)
        )
        let xsdt = tables.add("XSDT", XSDT.bytes(tables: [fadt, madt]))
        let place = Int(truncatingIfNeeded: rsdp.rawValue &- start.rawValue)
        tables.bytes.replaceSubrange(place..<(place + RSDP.size), with: RSDP.bytes(xsdt: xsdt))
        tables.rsdp = rsdp
        guard start.rawValue + UInt64(tables.bytes.count) <= end else { throw .outOfReach(start) }
        return tables
    }

    /// Adds a table at the next multiple of something, and returns its address.
    private mutating func add(
        _ name: String,
        _ content: [UInt8],
        alignment: UInt64 = Self.alignment
    ) -> GuestPhysicalAddress {
        // Cannot wrap: the start is below 2^32, and the tables are a few KiB.
        let free = start.rawValue + UInt64(bytes.count)
        let address = (free + alignment - 1) / alignment * alignment
        bytes.append(contentsOf: repeatElement(0, count: Int(address - free)))
        bytes.append(contentsOf: content)
        tables.append(Table(name: name, address: GuestPhysicalAddress(address), byteCount: content.count))
        return GuestPhysicalAddress(address)
    }
}
