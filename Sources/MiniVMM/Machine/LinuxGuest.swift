/// A Linux guest: a kernel, and what it is given.
public struct LinuxGuest: Sendable {
    /// The kernel, as a bzImage or as an ELF file.
    public enum Kernel: Sendable {
        /// A bzImage, entered by the 64-bit boot protocol.
        case linux(LinuxImage)
        /// An ELF kernel, entered by its PVH note.
        case elf(ELFKernel)
    }

    /// The kernel.
    public var kernel: Kernel
    /// The archive of the first root file system.
    public var initrd: ImageFile?
    /// The kernel's command line.
    public var commandLine = LinuxGuest.defaultCommandLine
    /// The size of the guest's memory, in bytes.
    public var memorySize = LinuxGuest.defaultMemorySize

    /// Where the standard streams of its program lead, for a guest that was made for one; else nil.
    public var streams: ExecStreams?

    /// A guest with the given kernel.
    public init(kernel: Kernel) {
        self.kernel = kernel
    }

    /// A console on the serial port, a reset after a panic, and no search for a PCI bus, which the machine lacks.
    public static let defaultCommandLine = "console=ttyS0 panic=-1 pci=off"
    /// 512 MiB.
    public static let defaultMemorySize: UInt64 = 512 << 20

    /// Makes the guest's memory, with the kernel, the initrd and the ACPI tables in it.
    ///
    /// - Throws: ``MemorySizeError``, ``GuestMemoryError``, ``ImageError``, ``ACPIError``.
    func makeMemory(vcpuCount: Int) throws -> (memory: GuestMemory, kernel: LoadedKernel) {
        let memory = try GuestMemory(layout: BootLayout.regions(memorySize: memorySize))
        let tables = try ACPITables.build(at: BootLayout.acpiTables, vcpuCount: vcpuCount)
        let arguments = BootArguments(commandLine: commandLine, initrd: initrd, acpiRootPointer: tables.rsdp)
        // The kernel is loaded first, because it expects the memory to be zero.
        let loaded =
            switch kernel {
            case .linux(let image): try image.load(into: memory, arguments: arguments)
            case .elf(let image): try image.load(into: memory, arguments: arguments)
            }
        try memory.write(tables.bytes, at: tables.start)
        return (memory, loaded)
    }
}
