/// `boot_params`, the page by which a bzImage learns what the boot loader did: the setup header and what surrounds it.
///
/// Source: Linux, Documentation/arch/x86/zero-page.rst, and boot.rst for the fields of the setup header.
struct BootParameters {
    /// The kernel's own header, whose values stay where nothing else is said.
    let header: SetupHeader
    /// Where the protected-mode part was loaded.
    let loadAddress: GuestPhysicalAddress
    /// Where the initrd was loaded, if there is one.
    let initrd: Range<GuestPhysicalAddress>?
    /// Where the ACPI tables' root pointer is, if there are tables.
    let acpiRootPointer: GuestPhysicalAddress?
    /// Where memory is; at most ``greatestMapCount`` lines.
    let memoryMap: [MemoryMapEntry]

    /// Where the fields outside the setup header stand.
    enum Offset {
        static let acpiRootPointer: UInt64 = 0x070
        static let initrdAddressHigh: UInt64 = 0x0c0
        static let initrdSizeHigh: UInt64 = 0x0c4
        static let mapCount: UInt64 = 0x1e8
        static let map: UInt64 = 0x2d0
    }

    /// The lines that the page has room for.
    static let greatestMapCount = 128
    /// A line: address, size, kind.
    static let mapEntrySize: UInt64 = 20
    /// A boot loader without a number of its own.
    private static let unknownLoader: UInt8 = 0xff

    /// Writes the page.
    func write(to memory: GuestMemory) throws(GuestMemoryError) {
        let page = BootLayout.bootParameters
        try memory.write([UInt8](repeating: 0, count: Int(GuestMemory.pageSize)), at: page)
        try memory.write(header.bytes, at: page &+ SetupHeader.Offset.start)
        try memory.store(Self.unknownLoader, at: page &+ SetupHeader.Offset.loaderType)
        try memory.store(Self.low(loadAddress.rawValue), at: page &+ SetupHeader.Offset.code32Start)
        try memory.store(Self.low(BootLayout.commandLine.rawValue), at: page &+ SetupHeader.Offset.commandLineAddress)
        try memory.store(UInt64(0), at: page &+ SetupHeader.Offset.setupData)
        try memory.store(acpiRootPointer?.rawValue ?? 0, at: page &+ Offset.acpiRootPointer)

        let address = initrd?.lowerBound.rawValue ?? 0
        let size = initrd.map { $0.upperBound.rawValue &- $0.lowerBound.rawValue } ?? 0
        try memory.store(Self.low(address), at: page &+ SetupHeader.Offset.initrdAddress)
        try memory.store(Self.low(size), at: page &+ SetupHeader.Offset.initrdSize)
        try memory.store(Self.low(address >> 32), at: page &+ Offset.initrdAddressHigh)
        try memory.store(Self.low(size >> 32), at: page &+ Offset.initrdSizeHigh)
        try writeMap(to: memory, page: page)
    }

    private func writeMap(to memory: GuestMemory, page: GuestPhysicalAddress) throws(GuestMemoryError) {
        let lines = memoryMap.prefix(Self.greatestMapCount)
        try memory.store(UInt8(lines.count), at: page &+ Offset.mapCount)
        for (index, line) in lines.enumerated() {
            let address = page &+ (Offset.map + UInt64(index) * Self.mapEntrySize)
            try memory.store(line.range.lowerBound.rawValue, at: address)
            try memory.store(line.size, at: address &+ 8)
            try memory.store(line.kind.rawValue, at: address &+ 16)
        }
    }

    private static func low(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value) }
}
