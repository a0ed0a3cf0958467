/// Something that a device occupies.
///
/// Source: ACPI 6.4, section 6.4.2 "Small Resource Data Type".
enum AMLResource: Hashable, Sendable {
    /// Ports that cannot be moved.
    case ports(ClosedRange<UInt16>)
    /// An interrupt line of the ISA bus, from 0 to 15: edge-triggered, active high, not shared.
    case interrupt(UInt8)

    /// Each descriptor's first byte: its type and the number of bytes that follow.
    private enum Tag {
        static let interrupt: UInt8 = 0x22
        static let ports: UInt8 = 0x47
        static let end: UInt8 = 0x79
    }

    /// The device decodes all 16 bits of a port's number.
    private static let decodes16Bits: UInt8 = 1
    private static let alignment: UInt8 = 1

    /// The descriptor's encoding.
    private var bytes: [UInt8] {
        var builder = ByteBuilder()
        switch self {
        case .ports(let ports):
            builder.add(Tag.ports)
            builder.add(Self.decodes16Bits)
            // The lowest and the highest place where it could be.
            builder.add(ports.lowerBound)
            builder.add(ports.lowerBound)
            builder.add(Self.alignment)
            builder.add(UInt8(truncatingIfNeeded: ports.count))
        case .interrupt(let line):
            builder.add(Tag.interrupt)
            // Smart shift: lines past 15 give an empty mask.
            builder.add(UInt16(1) << UInt16(line))
        }
        return builder.bytes
    }

    /// In place of the checksum: there is none. It is what Intel's compiler writes, too.
    private static let noChecksum: UInt8 = 0

    /// The descriptors of a device with the end tag.
    static func template(_ resources: [AMLResource]) -> [UInt8] {
        resources.flatMap(\.bytes) + [Tag.end, noChecksum]
    }
}
