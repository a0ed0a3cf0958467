public import Memory

/// What a machine runs.
public protocol Guest: Sendable {
    /// What the processor runs at privilege level 0: how the guest's CPUID instructions can be found.
    var code: GuestCode { get }
    /// Whether the guest wants interrupt controllers and a timer. Then HLT waits for an interrupt,
    /// and ends the run only when none can come.
    var wantsInterruptControllers: Bool { get }
    /// Whether the guest reads ACPI tables. They lie at ``BootLayout/acpiTables``, where it has to have memory.
    var wantsACPI: Bool { get }
    /// Whether the guest has interrupt stubs in place of a BIOS, which call MiniVMM.
    ///
    /// Only MiniVMM's own flat guests have them; the default is false.
    var hasFirmwareStubs: Bool { get }

    /// The disk that such a guest was booted from, whose sectors its stubs read. The default is none.
    var bootDisk: BootDisk? { get }
    /// Whether the guest has memory for a text screen at 0xB8000, to be shown on the console. The default is false.
    var hasScreen: Bool { get }
    /// Whether the guest was told to reset the machine by a triple fault. Else one is a death; the default is false.
    var resetsByTripleFault: Bool { get }

    /// Makes the guest's memory, all zero.
    ///
    /// - Throws: `GuestMemoryError`, or an error of the guest about its size.
    func makeMemory() throws -> GuestMemory

    /// Loads the guest.
    ///
    /// - Parameters:
    ///   - memory: What ``makeMemory()`` has made; still zero.
    ///   - platform: What the machine has to tell the guest.
    /// - Returns: Where it is, and how it is entered.
    /// - Throws: ``ImageError`` or `GuestMemoryError` when something does not fit.
    func load(into memory: GuestMemory, on platform: GuestPlatform) throws -> LoadedGuest
}

extension Guest {
    public var hasFirmwareStubs: Bool { false }
    public var bootDisk: BootDisk? { nil }
    public var hasScreen: Bool { false }
    public var resetsByTripleFault: Bool { false }
}

/// What runs at privilege level 0.
public enum GuestCode: Hashable, Sendable {
    /// An image, and the address where it is loaded: its CPUID instructions stand in it.
    case image([UInt8], loadedAt: UInt64)
    /// A kernel: its code, part by part. It may switch paging on.
    case kernel([LoadedCode])
    /// An operating system, whose programs run at privilege level 3.
    case operatingSystem
}

/// Code of a guest, and the physical address where it is loaded.
public struct LoadedCode: Hashable, Sendable {
    /// The code.
    public let bytes: [UInt8]
    /// Where it is loaded.
    public let address: UInt64

    /// Code at an address.
    public init(_ bytes: [UInt8], at address: UInt64) {
        self.bytes = bytes
        self.address = address
    }
}

/// What a machine has to tell its guest.
public struct GuestPlatform: Sendable {
    /// Where the root of the ACPI tables (RSDP) will be, if there are tables.
    public var acpiRootPointer: GuestPhysicalAddress?
    /// The bytes of that root, for those who are handed a copy of it.
    public var acpiRoot: [UInt8]
    /// Kernel arguments of the machine's components.
    public var kernelArguments: [String]

    /// A platform.
    public init(
        acpiRootPointer: GuestPhysicalAddress? = nil, acpiRoot: [UInt8] = [], kernelArguments: [String] = []
    ) {
        self.acpiRootPointer = acpiRootPointer
        self.acpiRoot = acpiRoot
        self.kernelArguments = kernelArguments
    }
}

/// A guest in its memory, ready to be entered.
public struct LoadedGuest: Hashable, Sendable {
    /// The registers with which the first vCPU starts.
    public let entry: EntryState
    /// What the image takes of the memory; for a kernel, until it knows its memory map.
    public let image: Range<GuestPhysicalAddress>
    /// Where the initrd is, if there is one.
    public let initrd: Range<GuestPhysicalAddress>?

    /// A guest that has been loaded.
    public init(entry: EntryState, image: Range<GuestPhysicalAddress>, initrd: Range<GuestPhysicalAddress>? = nil) {
        self.entry = entry
        self.image = image
        self.initrd = initrd
    }
}
