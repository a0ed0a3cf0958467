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
        let bytes = [UInt8](commandLine.utf8)
        let limit = min(limit, BootLayout.commandLineSize - 1)
        guard bytes.count <= limit else { throw .commandLineTooLong(size: bytes.count, limit: limit) }
        guard !bytes.contains(0) else { throw .commandLineHasZero }
        try ImageError.loading(path) { () throws(GuestMemoryError) in
            try memory.write(bytes + [0], at: BootLayout.commandLine)
        }
    }
}
