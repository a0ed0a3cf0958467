/// The descriptor table that is loaded when a Linux kernel is entered.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, "64-bit Boot Protocol", which also fixes the selectors.
public struct DescriptorTable: Hashable, Sendable {
    /// Where the table is.
    public let base: GuestPhysicalAddress
    /// The offset of its last byte.
    public let limit: UInt16

    /// __BOOT_CS.
    static let codeSelector: UInt16 = 0x10
    /// __BOOT_DS.
    static let dataSelector: UInt16 = 0x18
    /// Whatever comes next.
    static let taskSelector: UInt16 = 0x20

    /// Writes the table for the given segments, which have the selectors above in this order.
    static func write(
        code: SegmentDescriptor,
        data: SegmentDescriptor,
        task: SegmentDescriptor,
        to memory: GuestMemory
    ) throws(GuestMemoryError) -> DescriptorTable {
        // In 64-bit mode a task's entry has 16 bytes.
        let entries = [0, 0, code.tableEntry, data.tableEntry, task.tableEntry, 0]
        var bytes: [UInt8] = []
        for entry in entries { bytes.append(integer: entry) }
        try memory.write(bytes, at: BootLayout.descriptorTable)
        return DescriptorTable(base: BootLayout.descriptorTable, limit: UInt16(bytes.count - 1))
    }
}
