import Host
public import Memory

/// What a Linux kernel is given when it starts, beside its memory.
public struct BootArguments: Sendable {
    /// The kernel's command line.
    public var commandLine: String
    /// The archive of the first root file system, if there is one.
    public var initrd: ImageFile?
    /// Where the ACPI tables' root pointer (RSDP) is, if there are tables.
    public var acpiRootPointer: GuestPhysicalAddress?

    /// Collects the arguments.
    public init(
        commandLine: String = "",
        initrd: ImageFile? = nil,
        acpiRootPointer: GuestPhysicalAddress? = nil
    ) {
        self.commandLine = commandLine
        self.initrd = initrd
        self.acpiRootPointer = acpiRootPointer
    }

    /// Writes the command line with its terminating zero.
    ///
    /// - Parameters:
    ///   - limit: The most bytes that the kernel takes, without the terminating zero.
    ///   - path: What errors call the kernel.
    func writeCommandLine(limit: UInt64, to memory: GuestMemory, path: String) throws(ImageError) {
        let bytes = ForeignText.bytes(commandLine)
        let limit = min(limit, BootLayout.commandLineSize - 1)
        guard bytes.count <= limit else { throw .commandLineTooLong(size: bytes.count, limit: limit) }
        guard !bytes.contains(0) else { throw .commandLineHasZero }
        try ImageError.loading(path) { () throws(GuestMemoryError) in
            try memory.write(bytes + [0], at: BootLayout.commandLine)
        }
    }
}

/// Finds the place of the initrd: as high as possible, so that the kernel has its lower memory in one piece.
struct InitrdPlacement {
    /// The end of the kernel, below which nothing may go.
    let kernelEnd: GuestPhysicalAddress
    /// The address before which the kernel says that the initrd must end.
    package let limit: GuestPhysicalAddress
    /// Whether the kernel also takes an initrd beyond that limit.
    let canUseHighMemory: Bool

    /// Where an initrd starts: on a page, above the kernel, in memory.
    ///
    /// - Parameter size: Bytes.
    /// - Returns: Nil when there is no such place.
    package func address(size: UInt64, in memory: GuestMemory) -> GuestPhysicalAddress? {
        for limit in canUseHighMemory ? [limit.rawValue, UInt64.max] : [limit.rawValue] {
            for region in memory.regions {
                if let address = address(size: size, in: region, below: limit) { return address }
            }
        }
        return nil
    }

    private func address(size: UInt64, in region: GuestMemory.Region, below limit: UInt64) -> GuestPhysicalAddress? {
        let end = min(region.end, limit)
        guard end >= size else { return nil }
        let address = GuestPhysicalAddress((end - size) & ~Self.pageMask)
        return address >= max(region.start, kernelEnd) ? address : nil
    }

    private static let pageMask = GuestMemory.pageSize - 1

    /// Writes the initrd, and returns its addresses.
    ///
    /// - Throws: ``ImageError/needsMoreMemory(path:upTo:end:)`` when there is no place for it.
    package func load(_ initrd: ImageFile, into memory: GuestMemory) throws(ImageError) -> Range<GuestPhysicalAddress> {
        let size = initrd.size
        guard let address = address(size: size, in: memory) else {
            let lowest = GuestPhysicalAddress((kernelEnd.rawValue &+ Self.pageMask) & ~Self.pageMask)
            let lowEnd = GuestPhysicalAddress(memory.regions.first?.end ?? 0)
            throw .needsMoreMemory(path: initrd.path, upTo: lowest &+ size, end: min(limit, lowEnd))
        }
        try initrd.load(0..<size, into: memory, at: address)
        return address..<(address &+ size)
    }
}
