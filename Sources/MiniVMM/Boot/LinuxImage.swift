/// A bzImage, loaded by the 64-bit boot protocol.
///
/// Source: Linux, Documentation/arch/x86/boot.rst, "64-bit Boot Protocol".
public struct LinuxImage: Sendable {
    private let file: ImageFile
    let header: SetupHeader

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
    public func load(into memory: GuestMemory, arguments: BootArguments) throws(ImageError) -> LoadedKernel {
        let placement = try placement(in: memory)
        try ImageError.loading(file.path) { () throws(GuestMemoryError) in
            try memory.write(file.bytes[Int(header.payloadOffset)...], at: placement.address)
        }
        try arguments.writeCommandLine(limit: header.greatestCommandLineSize, to: memory, path: file.path)
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
        return LoadedKernel(entry: entry, kernel: placement.occupied, initrd: initrd)
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
