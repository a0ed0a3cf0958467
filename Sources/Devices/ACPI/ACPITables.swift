public import Host
public import Memory

/// What ACPI tells a guest of the machine: one stretch of bytes to be put into the guest's memory.
///
/// In it, in this order: RSDP, FACS, DSDT, FADT, MADT, XSDT. The tables name each other by address, so they are built
/// for the place where they will stand. Guests find the RSDP by the address that a boot protocol hands them, or by
/// searching from 0xE0000 to 0xFFFFF.
package struct ACPITables: Sendable {
    /// The most vCPUs: a local APIC's identity has 8 bits, and the last, 255, is every vCPU's.
    package static let maximumVCPUCount = 255

    /// A table and where it stands.
    package struct Table: Hashable, Sendable {
        /// Its signature, such as `FACP`; for the pointer to all others `RSDP`.
        package let name: String
        /// The address of its first byte.
        package let address: GuestPhysicalAddress
        /// Its length in bytes.
        package let byteCount: Int
    }

    /// The address of the first byte.
    package let start: GuestPhysicalAddress
    /// All tables, with gaps of zeros between them.
    package private(set) var bytes: [UInt8] = []
    /// Where each table stands.
    package private(set) var tables: [Table] = []
    /// Where a guest starts to read: the RSDP.
    package private(set) var rsdp: GuestPhysicalAddress

    /// The bytes of the RSDP.
    package var root: [UInt8] { Array(bytes.dropFirst(Int(rsdp.rawValue &- start.rawValue)).prefix(RSDP.size)) }

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
    ///   - description: What the devices say of themselves.
    /// - Returns: About 1 KiB, and 8 bytes for each vCPU.
    /// - Throws: ``ACPIError``.
    package static func build(
        at start: GuestPhysicalAddress,
        vcpuCount: Int,
        timerInput: UInt32 = 0,
        describing description: ACPIDescription
    ) throws(ACPIError) -> ACPITables {
        guard (1...maximumVCPUCount).contains(vcpuCount) else { throw .vcpuCount(vcpuCount) }
        guard start.rawValue < end else { throw .outOfReach(start) }
        var tables = ACPITables(start: start)
        // The RSDP names the XSDT, which comes last: it gets its place now and its content then.
        let rsdp = tables.add("RSDP", [UInt8](repeating: 0, count: RSDP.size), alignment: RSDP.alignment)
        let facs = tables.add("FACS", FACS.bytes, alignment: UInt64(FACS.size))
        let dsdt = tables.add("DSDT", try DSDT.bytes(description))
        let fadt = tables.add("FACP", FADT.bytes(facs: facs, dsdt: dsdt, describing: description))
        let madt = tables.add(
            "APIC",
            MADT.bytes(
                vcpuCount: UInt8(truncatingIfNeeded: vcpuCount), timerInput: timerInput,
                systemControlInterrupt: description.fixedHardware?.interrupt)
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

/// The Root System Description Pointer: where a guest starts to read.
///
/// Source: ACPI 6.4, section 5.2.5.3 "Root System Description Pointer (RSDP) Structure".
package enum RSDP {
    /// The bytes of the structure.
    package static let size = 36
    /// What its address is a multiple of, for guests that search for it.
    package static let alignment: UInt64 = 16

    private static let revision: UInt8 = 2
    /// The first checksum covers the part that ACPI 1.0 had.
    private static let firstPart = 20
    private static let firstChecksumOffset = 8
    private static let secondChecksumOffset = 32

    /// The structure, for an XSDT.
    package static func bytes(xsdt: GuestPhysicalAddress) -> [UInt8] {
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

/// The Extended System Description Table: where the other tables are.
///
/// Source: ACPI 6.4, section 5.2.8 "Extended System Description Table (XSDT)".
enum XSDT {
    private static let revision: UInt8 = 1

    /// The table, for the addresses of others.
    package static func bytes(tables: [GuestPhysicalAddress]) -> [UInt8] {
        var body = ByteBuilder()
        for table in tables { body.add(table.rawValue) }
        return ACPITable.bytes(signature: "XSDT", revision: revision, body: body.bytes)
    }
}

/// The Firmware ACPI Control Structure: nothing but its presence is used, which the FADT of a machine with ACPI's fixed
/// hardware demands.
///
/// Source: ACPI 6.4, section 5.2.10 "Firmware ACPI Control Structure (FACS)".
enum FACS {
    /// The bytes of the structure, and what its address is a multiple of.
    package static let size = 64

    private static let version: UInt8 = 2
    /// From the start to the version: signature, length, hardware signature, waking vector, global lock, flags and the
    /// wide waking vector.
    private static let versionOffset = 32

    /// The structure. It has no checksum.
    package static var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.add("FACS", length: 4)
        builder.add(UInt32(size))
        builder.addZeros(versionOffset - builder.bytes.count)
        builder.add(version)
        builder.addZeros(size - builder.bytes.count)
        return builder.bytes
    }
}

/// Why ACPI tables cannot be built.
public enum ACPIError: Error, Hashable, Sendable {
    /// There must be 1 to 255 vCPUs.
    case vcpuCount(Int)
    /// The tables would not end below 4 GiB, where all of their addresses fit.
    case outOfReach(GuestPhysicalAddress)
    /// A name that AML has no form for.
    case invalidName(String)
    /// More bytes than AML has a length for.
    case tooLong(byteCount: Int)
}

extension ACPIError: DiagnosticError {
    /// One sentence that says what happened.
    public var explanation: String {
        switch self {
        case .vcpuCount(let count):
            "A machine with \(count) vCPUs cannot be described to a guest by ACPI."
        case .outOfReach(let address):
            "ACPI tables at \(address) would not end below 4 GiB."
        case .invalidName(let name):
            "\"\(name)\" is not a name of the ACPI machine language."
        case .tooLong(let byteCount):
            "\(byteCount) bytes are too long for one object of the ACPI machine language."
        }
    }
}
