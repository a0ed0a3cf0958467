public import Memory

/// A bzImage, loaded by the 64-bit boot protocol.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, "64-bit Boot Protocol".
public struct LinuxImage: Sendable {
    private let file: ImageFile
    package let header: SetupHeader

    /// Reads and checks the setup header of a file that ``ImageFormat`` says is a bzImage.
    ///
    /// - Throws: ``ImageError`` when the file is damaged, too old or not 64-bit.
    public init(_ file: ImageFile) throws(ImageError) {
        header = try SetupHeader(file)
        self.file = file
    }

    /// Loads the kernel and what it is given into memory that is still zero.
    ///
    /// - Parameters:
    ///   - memory: Memory that ``BootLayout/regions(memorySize:)`` laid out.
    ///   - arguments: The command line, the initrd, and where the ACPI tables are.
    /// - Throws: ``ImageError`` when something does not fit.
    public func load(into memory: GuestMemory, arguments: BootArguments) throws(ImageError) -> LoadedGuest {
        let placement = try placement(in: memory)
        try file.load(header.payloadOffset..<file.size, into: memory, at: placement.address)
        try arguments.writeCommandLine(limit: header.maximumCommandLineSize, to: memory, path: file.path)
        var initrd: Range<GuestPhysicalAddress>?
        if let image = arguments.initrd {
            let initrdPlacement = InitrdPlacement(
                kernelEnd: placement.occupied.upperBound,
                limit: header.initrdLimit,
                canUseHighMemory: header.canUseHighMemory
            )
            initrd = try initrdPlacement.load(image, into: memory)
        }
        let parameters = BootParameters(
            header: header,
            loadAddress: placement.address,
            initrd: initrd,
            acpiRootPointer: arguments.acpiRootPointer,
            memoryMap: MemoryMapEntry.map(of: memory)
        )
        let entry = try ImageError.loading(file.path) { () throws(GuestMemoryError) in
            try parameters.write(to: memory)
            var entry = try EntryState.long(
                at: GuestPhysicalAddress(placement.address.rawValue &+ SetupHeader.entryOffset), memory: memory)
            entry.rsi = BootLayout.bootParameters.rawValue
            return entry
        }
        return LoadedGuest(entry: entry, image: placement.occupied, initrd: initrd)
    }

    /// Where the protected-mode part goes, and what the kernel takes until it knows its memory map.
    private func placement(
        in memory: GuestMemory
    ) throws(ImageError) -> (address: GuestPhysicalAddress, occupied: Range<GuestPhysicalAddress>) {
        let extended = BootLayout.extendedMemory.rawValue
        // A relocatable kernel moves up to where it prefers to be, so it is put there; another is put at 1 MiB and
        // moves itself to its preferred address. Either then takes its runtime size from there.
        let preferred = max(header.preferredAddress, extended)
        let alignmentMask = header.isRelocatable ? header.alignment - 1 : 0
        let (unaligned, wrapsAligned) = preferred.addingReportingOverflow(alignmentMask)
        let runtime = unaligned & ~alignmentMask
        let address = header.isRelocatable ? runtime : extended
        let (runtimeEnd, wrapsRuntime) = runtime.addingReportingOverflow(header.runtimeSize)
        let (loadEnd, wrapsLoad) = address.addingReportingOverflow(header.payloadSize)
        guard !wrapsAligned, !wrapsRuntime, !wrapsLoad else {
            throw .damaged(
                path: file.path, .bzImage, problem: "it wants to be loaded past the end of the address space")
        }
        let end = GuestPhysicalAddress(max(runtimeEnd, loadEnd))
        let memoryEnd = GuestPhysicalAddress(memory.regions.first?.end ?? 0)
        guard end <= memoryEnd else { throw .needsMoreMemory(path: file.path, upTo: end, end: memoryEnd) }
        return (GuestPhysicalAddress(address), GuestPhysicalAddress(address)..<end)
    }
}

/// `boot_params`, the page by which a bzImage learns what the boot loader did: the setup header and what surrounds it.
///
/// Source: Linux, Documentation/arch/x86/zero-page.rst, and boot.rst for the fields of the setup header.
struct BootParameters {
    /// The kernel's own header, whose values stay where nothing else is said.
    package let header: SetupHeader
    /// Where the protected-mode part was loaded.
    package let loadAddress: GuestPhysicalAddress
    /// Where the initrd was loaded, if there is one.
    package let initrd: Range<GuestPhysicalAddress>?
    /// Where the ACPI tables' root pointer is, if there are tables.
    package let acpiRootPointer: GuestPhysicalAddress?
    /// Where memory is; at most ``maximumMapCount`` lines.
    let memoryMap: [MemoryMapEntry]

    /// Where the fields outside the setup header stand.
    package enum Offset {
        package static let acpiRootPointer: UInt64 = 0x070
        static let initrdAddressHigh: UInt64 = 0x0c0
        static let initrdSizeHigh: UInt64 = 0x0c4
        static let mapCount: UInt64 = 0x1e8
        package static let map: UInt64 = 0x2d0
    }

    /// The lines that the page has room for.
    static let maximumMapCount = 128
    /// A line: address, size, kind.
    static let mapEntrySize: UInt64 = 20
    /// A boot loader without a number of its own.
    private static let unknownLoader: UInt8 = 0xff

    /// Writes the page.
    package func write(to memory: GuestMemory) throws(GuestMemoryError) {
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
        let lines = memoryMap.prefix(Self.maximumMapCount)
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
