import Devices
public import Host
public import Memory

/// A flat 16-bit guest: an image that is run as a PC runs a boot sector.
public struct FlatGuest: Guest {
    /// The image.
    public var image: [UInt8]
    /// Where the image is loaded.
    public var loadAddress = FlatGuest.defaultLoadAddress
    /// Where it is entered; nil for its first byte.
    public var entry: SegmentedAddress?
    /// The size of the guest's memory, in bytes.
    public var memorySize = FlatGuest.defaultMemorySize
    /// Whether it has memory for a text screen, to be shown on the console. Without it an access to the address of a
    /// PC's screen is an exit, as to any where there is no memory.
    public var hasScreen = false
    /// What the guest finds in ECX.
    public var argument: UInt32 = 0

    /// Whether ``loadAddress`` was chosen by a person, who then wants the whole image there.
    var hasChosenAddress = false

    /// A guest with the given image.
    public init(image: [UInt8]) {
        self.image = image
    }

    /// Where a PC's BIOS loads a boot sector.
    public static let defaultLoadAddress = BootLayout.bootSector.rawValue
    /// 16 MiB.
    public static let defaultMemorySize: UInt64 = 16 << 20
}

extension FlatGuest: GuestLoader {
    /// Whether the file is of no other known format.
    public static func probe(_ bytes: [UInt8]) -> Bool {
        ImageFormat(detecting: bytes) == .flat
    }

    public static func guest(_ file: ImageFile, _ settings: GuestSettings) throws -> any Guest {
        try FlatGuest(image: file.whole().bytes, settings)
    }

    /// A guest with the given image, and what it is to be given.
    ///
    /// - Throws: ``GuestSettingError`` for settings of Linux guests.
    public init(image: [UInt8], _ settings: GuestSettings) throws(GuestSettingError) {
        try settings.refuse([.initrd, .module, .commandLine])
        self.init(image: image)
        if let memorySize = settings.memorySize { self.memorySize = memorySize }
        if let loadAddress = settings.loadAddress {
            self.loadAddress = loadAddress
            hasChosenAddress = true
        }
        if let argument = settings.argument { self.argument = argument }
        hasScreen = settings.hasScreen
        entry = settings.entry
    }
}

extension FlatGuest {
    /// The memory of a flat guest, as a PC has it: 640 KiB, a hole, the BIOS's 64 KiB, and the rest from 1 MiB up.
    private enum Layout {
        static let conventionalEnd = BootLayout.baseMemoryEnd.rawValue
        static let extendedStart = BootLayout.extendedMemory.rawValue
        static let maximumSize = BootLayout.lowMemoryLimit.rawValue
        static let lowestLoadAddress = BootLayout.biosDataEnd.rawValue
    }

    public var code: GuestCode { .image(loadedImage, loadedAt: loadAddress) }
    public var wantsInterruptControllers: Bool { false }
    public var wantsACPI: Bool { false }
    public var hasFirmwareStubs: Bool { true }
    public var bootDisk: BootDisk? { BootDisk(image) }

    /// Whether of the image only the first sector is loaded, as a PC boots from a disk: it carries the signature of a
    /// boot sector, and does not fit where one is loaded.
    package var bootsFromDisk: Bool {
        !hasChosenAddress && loadAddress == Self.defaultLoadAddress && BootDisk.isBootable(image)
            && UInt64(image.count) > Layout.conventionalEnd - loadAddress
    }

    /// What is loaded when the guest starts.
    private var loadedImage: [UInt8] { bootsFromDisk ? Array(image.prefix(BootDisk.sectorSize)) : image }

    public func makeMemory() throws -> GuestMemory {
        try check()
        var layout = [
            (start: GuestPhysicalAddress(0), size: Layout.conventionalEnd),
            (start: BootLayout.firmware, size: BootLayout.firmwareSize),
        ]
        if hasScreen { layout.insert((start: TextScreen.start, size: TextScreen.size), at: 1) }
        if memorySize > Layout.extendedStart {
            layout.append((start: GuestPhysicalAddress(Layout.extendedStart), size: memorySize - Layout.extendedStart))
        }
        return try GuestMemory(layout: layout)
    }

    public func load(into memory: GuestMemory, on platform: GuestPlatform) throws -> LoadedGuest {
        let start = GuestPhysicalAddress(loadAddress)
        let entry = try entryState()
        let image = loadedImage
        try FirmwareStubs.write(to: memory)
        try FirmwareStubs.writeDataArea(to: memory)
        try memory.write(image, at: start)
        return LoadedGuest(entry: entry, image: start..<(start &+ UInt64(image.count)), initrd: nil)
    }

    private func check() throws(FlatGuestError) {
        guard !image.isEmpty else { throw .emptyImage }
        guard memorySize >= Layout.extendedStart, memorySize <= Layout.maximumSize,
            memorySize % GuestMemory.pageSize == 0
        else { throw .badMemorySize(memorySize) }
        let room: UInt64
        switch loadAddress {
        case Layout.lowestLoadAddress..<Layout.conventionalEnd: room = Layout.conventionalEnd - loadAddress
        case Layout.extendedStart..<max(memorySize, Layout.extendedStart + 1): room = memorySize &- loadAddress
        default: throw .badLoadAddress(loadAddress)
        }
        guard UInt64(image.count) <= room || bootsFromDisk, loadAddress < memorySize else {
            throw .doesNotFit(imageSize: image.count, address: loadAddress, room: room)
        }
        _ = try effectiveEntry()
    }

    /// Where the guest is entered: as asked, or where the image is loaded, with segment 0 as long as that reaches.
    private func effectiveEntry() throws(FlatGuestError) -> SegmentedAddress {
        if let entry { return entry }
        if let offset = UInt16(exactly: loadAddress) { return SegmentedAddress(segment: 0, offset: offset) }
        guard let segment = UInt16(exactly: loadAddress >> 4) else { throw .entryNeeded(loadAddress: loadAddress) }
        return SegmentedAddress(segment: segment, offset: UInt16(loadAddress & 0xf))
    }

    /// The state in which the guest is entered: real mode, interrupts off, DS = ES = SS = 0, SP = 0x7C00.
    ///
    /// - Throws: ``FlatGuestError`` when real mode cannot be entered there.
    package func entryState() throws(FlatGuestError) -> EntryState {
        var state = EntryState.real(at: try effectiveEntry(), stackPointer: Self.defaultLoadAddress)
        state.rcx = UInt64(argument)
        // A small image may be either; that of a disk is told by its size.
        let isFloppy = bootsFromDisk && BootDisk.floppySizes.contains(image.count)
        state.rdx = UInt64(isFloppy ? BootDisk.firstFloppy : BootDisk.firstHardDisk)
        return state
    }
}

/// Why a flat guest cannot be loaded as asked.
public enum FlatGuestError: Error, Hashable, Sendable {
    /// There is nothing in the image.
    case emptyImage
    /// The image does not fit where it is to be loaded.
    case doesNotFit(imageSize: Int, address: UInt64, room: UInt64)
    /// The address is the hole between 640 KiB and 1 MiB, lies over the interrupt vectors, or is past the memory.
    case badLoadAddress(UInt64)
    /// Without --entry the guest is entered where it is loaded, and no segment reaches that far.
    case entryNeeded(loadAddress: UInt64)
    /// The size is less than 1 MiB, more than 3 GiB, or not made of whole pages.
    case badMemorySize(UInt64)
}

extension FlatGuestError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .emptyImage:
            "The image is empty."
        case .doesNotFit(let size, let address, let room):
            "The image has \(size) bytes, and at \(Hex.number(address)) there is room for \(room)."
        case .badLoadAddress(let address):
            "A flat guest cannot be loaded at \(Hex.number(address))."
        case .entryNeeded(let address):
            "Real mode cannot be entered at \(Hex.number(address)), where the image is loaded."
        case .badMemorySize(let size):
            "A flat guest cannot have \(size) bytes of memory."
        }
    }
}
