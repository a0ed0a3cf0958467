public import Host
public import Memory

/// Where everything lies in the guest's physical memory. `docs/memory-layout.md` draws it.
///
/// Nothing here overlaps, and nothing that MiniVMM makes for a Linux guest lies at or above 1 MiB but the kernel and
/// the initrd.
public enum BootLayout {
    // MARK: A PC's address space

    /// The end of the interrupt vector table and the BIOS's data area, which lie at 0.
    public static let biosDataEnd = GuestPhysicalAddress(0x500)
    /// Where a PC loads a boot sector, and MiniVMM a flat image unless told otherwise.
    public static let bootSector = GuestPhysicalAddress(0x7c00)
    /// The end of the memory below 1 MiB that a PC with an extended BIOS data area offers (639 KiB).
    public static let conventionalMemoryEnd = GuestPhysicalAddress(0x9_fc00)
    /// The end of the memory below 1 MiB (640 KiB); a PC's graphics memory begins here.
    public static let baseMemoryEnd = GuestPhysicalAddress(0xa_0000)
    /// The 64 KiB at the end of the first MiB, where a PC's BIOS lies: segment F000.
    public static let firmware = GuestPhysicalAddress(0xf_0000)
    /// The bytes of the firmware's segment.
    public static let firmwareSize: UInt64 = 0x1_0000
    /// 1 MiB: where memory goes on above the firmware.
    public static let extendedMemory = GuestPhysicalAddress(0x10_0000)
    /// 3 GiB: where memory ends below 4 GiB. The interrupt controllers and KVM's own pages lie in the gap.
    public static let lowMemoryLimit = GuestPhysicalAddress(0xc000_0000)
    /// 4 GiB: where the memory goes on that does not fit below ``lowMemoryLimit``.
    public static let highMemory = GuestPhysicalAddress(0x1_0000_0000)

    // MARK: What a Linux guest finds when it starts

    /// The descriptor table that is loaded when the kernel is entered.
    public static let descriptorTable = GuestPhysicalAddress(0x500)
    /// PVH: `hvm_start_info`.
    public static let startInfo = GuestPhysicalAddress(0x6000)
    /// PVH: the list of modules, which holds the initrd.
    public static let moduleList = GuestPhysicalAddress(0x6040)
    /// PVH: the memory map, up to the end of the page.
    public static let memoryMap = GuestPhysicalAddress(0x6080)
    /// bzImage: `boot_params`, one page.
    public static let bootParameters = GuestPhysicalAddress(0x7000)
    /// The end of a page of stack, for what the kernel does before it has its own.
    public static let stackEnd = GuestPhysicalAddress(0x9000)
    /// bzImage: the page tables, six pages.
    public static let pageTables = GuestPhysicalAddress(0x9000)
    /// The command line with its terminating zero.
    public static let commandLine = GuestPhysicalAddress(0x2_0000)
    /// The bytes kept for the command line with its terminating zero.
    public static let commandLineSize: UInt64 = 0x1_0000
    /// The ACPI tables, RSDP first: from here to 1 MiB is where a kernel without other word looks for it.
    public static let acpiTables = GuestPhysicalAddress(0xe_0000)
    /// The bytes kept for the ACPI tables.
    public static let acpiTablesSize: UInt64 = 0x2_0000

    // MARK: How much memory

    /// The least memory of a Linux guest: something above 1 MiB. What a kernel needs, its image says.
    package static let leastMemorySize: UInt64 = 0x20_0000
    /// The most memory of a guest: its last address has 39 bits, as many as today's desktop processors handle.
    static let maximumMemorySize: UInt64 = (1 << 39) - (highMemory.rawValue - lowMemoryLimit.rawValue)

    /// The regions of a Linux guest's memory, for `GuestMemory`: one from 0, and one from 4 GiB for what lies above
    /// 3 GiB.
    ///
    /// - Parameter memorySize: Bytes; whole pages.
    /// - Throws: ``MemorySizeError``.
    public static func regions(
        memorySize: UInt64
    ) throws(MemorySizeError) -> [(start: GuestPhysicalAddress, size: UInt64)] {
        guard memorySize >= leastMemorySize else { throw .tooSmall(memorySize, least: leastMemorySize) }
        guard memorySize <= maximumMemorySize else { throw .tooLarge(memorySize, maximum: maximumMemorySize) }
        guard memorySize % GuestMemory.pageSize == 0 else { throw .notWholePages(memorySize) }
        let limit = lowMemoryLimit.rawValue
        let low = (start: GuestPhysicalAddress(0), size: min(memorySize, limit))
        return memorySize > limit ? [low, (start: highMemory, size: memorySize - limit)] : [low]
    }
}

/// A line of the map that tells a Linux guest where its memory is, as e820 has it and PVH's start info too.
struct MemoryMapEntry: Hashable, Sendable {
    /// What a stretch of addresses is. The numbers are those of both formats.
    ///
    /// Source: ACPI specification, "System Address Map Interfaces"; Xen, public/arch-x86/hvm/start_info.h.
    package enum Kind: UInt32, Sendable {
        /// Memory that the kernel may use.
        case usable = 1
        /// Nothing to use, nor to put devices at.
        case reserved = 2
    }

    /// The addresses.
    package let range: Range<GuestPhysicalAddress>
    /// What they are.
    package let kind: Kind

    /// Bytes.
    package var size: UInt64 { range.upperBound.rawValue - range.lowerBound.rawValue }

    /// The map of a Linux guest's memory, as ``BootLayout/regions(memorySize:)`` lays it out.
    package static func map(of memory: GuestMemory) -> [MemoryMapEntry] {
        let firstMegabyte = [
            MemoryMapEntry(range: GuestPhysicalAddress(0)..<BootLayout.conventionalMemoryEnd, kind: .usable),
            MemoryMapEntry(range: BootLayout.conventionalMemoryEnd..<BootLayout.baseMemoryEnd, kind: .reserved),
            MemoryMapEntry(range: BootLayout.acpiTables..<BootLayout.extendedMemory, kind: .reserved),
        ]
        let rest = memory.regions.compactMap { region -> MemoryMapEntry? in
            let start = max(region.start, BootLayout.extendedMemory)
            let end = GuestPhysicalAddress(region.end)
            return start < end ? MemoryMapEntry(range: start..<end, kind: .usable) : nil
        }
        return firstMegabyte + rest
    }
}

/// What can be wrong with the size that was asked for a guest's memory. All sizes are bytes.
public enum MemorySizeError: Error, Hashable, Sendable {
    /// The guest would have no room for what it is made of.
    case tooSmall(UInt64, least: UInt64)
    /// The guest's last address would be beyond what processors handle.
    case tooLarge(UInt64, maximum: UInt64)
    /// The size is not a multiple of a page.
    case notWholePages(UInt64)
}

extension MemorySizeError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .tooSmall(let size, let least):
            "\(ByteCount(size)) of guest memory are too few: this guest needs at least \(ByteCount(least))."
        case .tooLarge(let size, let maximum):
            "\(ByteCount(size)) of guest memory are too many: the most that a guest can have is \(ByteCount(maximum))."
        case .notWholePages(let size):
            "\(ByteCount(size)) of guest memory are not a whole number of pages of \(GuestMemory.pageSize) bytes."
        }
    }
}
