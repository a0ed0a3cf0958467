public import Memory

/// An ELF kernel, entered in 32-bit mode at the address that its PVH note states.
///
/// Source: Xen, docs/misc/pvh.pandoc, "x86/HVM direct boot ABI".
public struct ELFKernel: Sendable {
    private let file: ImageFile
    private let segments: [ELFFile.Segment]
    private let entry: UInt64

    /// COMMAND_LINE_SIZE of x86, without the terminating zero: unlike a bzImage, an ELF kernel does not state it.
    /// Source: Linux, arch/x86/include/asm/setup.h.
    static let maximumCommandLineSize: UInt64 = 2047

    /// Reads and checks the headers of an ELF file.
    ///
    /// - Throws: ``ImageError`` when the file is damaged, has no PVH note, or is not for x86-64.
    public init(_ file: ImageFile) throws(ImageError) {
        let file = try Self.withHeaders(file)
        let format = ImageFormat(detecting: file)
        guard let identity = ELFIdentity(file.bytes), identity.isX8664 else {
            throw .unsupported(path: file.path, format)
        }
        // Whether there is a note cannot be told of a file that is damaged.
        let damagedFormat = format == .pvhKernel ? format : .other(identity.description)
        let elf: ELFFile
        do {
            elf = try ELFFile(file)
        } catch {
            throw .damaged(path: file.path, damagedFormat, problem: error.problem)
        }
        guard let entry = try elf.pvhEntry(in: file) else { throw .unsupported(path: file.path, format) }
        let hasEntry = elf.loadable.contains {
            $0.physicalAddress <= entry && entry - $0.physicalAddress < $0.fileSize
        }
        guard hasEntry, entry <= UInt64(UInt32.max) else {
            let problem = "its entry, \(GuestPhysicalAddress(entry)), is in none of its segments"
            throw .damaged(path: file.path, damagedFormat, problem: problem)
        }
        self.file = file
        self.entry = entry
        segments = elf.loadable
    }

    /// The file with its program headers in memory: linkers put them at its beginning, but need not.
    private static func withHeaders(_ file: ImageFile) throws(ImageError) -> ImageFile {
        let headers = try? ELFProgramHeader.all(in: file.bytes, .wide, maximumCount: .max)
        return headers == nil ? try file.whole() : file
    }

    /// Loads the kernel and what it is given into memory that is still zero.
    ///
    /// - Parameters:
    ///   - memory: Memory that ``BootLayout/regions(memorySize:)`` laid out.
    ///   - arguments: The command line, the initrd, and where the ACPI tables are.
    /// - Throws: ``ImageError`` when something does not fit.
    public func load(into memory: GuestMemory, arguments: BootArguments) throws(ImageError) -> LoadedGuest {
        let occupied = try checkedRange(in: memory)
        for segment in segments {
            // The sum was checked when the segment was read.
            let bytes = segment.fileOffset..<segment.fileOffset + segment.fileSize
            try file.load(bytes, into: memory, at: GuestPhysicalAddress(segment.physicalAddress))
        }
        try arguments.writeCommandLine(limit: Self.maximumCommandLineSize, to: memory, path: file.path)
        var initrd: Range<GuestPhysicalAddress>?
        if let image = arguments.initrd {
            // Linux takes the address over into a field of 32 bits.
            let placement = InitrdPlacement(
                kernelEnd: occupied.upperBound,
                limit: BootLayout.highMemory,
                canUseHighMemory: false
            )
            initrd = try placement.load(image, into: memory)
        }
        let info = StartInfo(
            initrd: initrd,
            acpiRootPointer: arguments.acpiRootPointer,
            memoryMap: MemoryMapEntry.map(of: memory)
        )
        let state = try ImageError.loading(file.path) { () throws(GuestMemoryError) in
            try info.write(to: memory)
            var state = try EntryState.protected(at: entry, memory: memory)
            state.rbx = BootLayout.startInfo.rawValue
            return state
        }
        return LoadedGuest(entry: state, image: occupied, initrd: initrd)
    }

    /// The addresses from the first segment's start to the last one's end: from 1 MiB on, and in memory.
    private func checkedRange(in memory: GuestMemory) throws(ImageError) -> Range<GuestPhysicalAddress> {
        // The entry is in a segment, so there is one; they are in ascending order.
        let start = GuestPhysicalAddress(segments.first?.physicalAddress ?? 0)
        let end = GuestPhysicalAddress(segments.last?.physicalEnd ?? 0)
        guard start >= BootLayout.extendedMemory else {
            let reason = "wants to be loaded at \(start), below 1 MiB, where MiniVMM keeps what it hands over"
            throw .notBootable(path: file.path, .pvhKernel, reason: reason)
        }
        let memoryEnd = GuestPhysicalAddress(memory.regions.first?.end ?? 0)
        guard end <= memoryEnd else { throw .needsMoreMemory(path: file.path, upTo: end, end: memoryEnd) }
        return start..<end
    }
}

/// `hvm_start_info` and the lists that it points to: by them a kernel that is entered the PVH way learns what it was
/// given.
///
/// Source: Xen, public/arch-x86/hvm/start_info.h.
struct StartInfo {
    /// Where the initrd was loaded, if there is one.
    package let initrd: Range<GuestPhysicalAddress>?
    /// Where the ACPI tables' root pointer is, if there are tables.
    package let acpiRootPointer: GuestPhysicalAddress?
    /// Where memory is; at most ``maximumMapCount`` lines.
    let memoryMap: [MemoryMapEntry]

    package enum Offset {
        package static let magic: UInt64 = 0
        package static let version: UInt64 = 4
        static let moduleCount: UInt64 = 12
        static let moduleList: UInt64 = 16
        package static let commandLine: UInt64 = 24
        package static let acpiRootPointer: UInt64 = 32
        static let memoryMap: UInt64 = 40
        static let mapCount: UInt64 = 48
    }

    /// XEN_HVM_START_MAGIC_VALUE.
    package static let magic: UInt32 = 0x336e_c578
    /// The first version that has the memory map.
    package static let version: UInt32 = 1
    /// A line: address, size, kind, 4 bytes reserved.
    static let mapEntrySize: UInt64 = 24
    /// The lines up to the end of the page.
    static let maximumMapCount = Int(
        (GuestMemory.pageSize - BootLayout.memoryMap.rawValue % GuestMemory.pageSize) / mapEntrySize)

    /// Writes the page.
    package func write(to memory: GuestMemory) throws(GuestMemoryError) {
        let info = BootLayout.startInfo
        try memory.write([UInt8](repeating: 0, count: Int(GuestMemory.pageSize)), at: info)
        try memory.store(Self.magic, at: info &+ Offset.magic)
        try memory.store(Self.version, at: info &+ Offset.version)
        try memory.store(BootLayout.commandLine.rawValue, at: info &+ Offset.commandLine)
        try memory.store(acpiRootPointer?.rawValue ?? 0, at: info &+ Offset.acpiRootPointer)
        if let initrd {
            try memory.store(UInt32(1), at: info &+ Offset.moduleCount)
            try memory.store(BootLayout.moduleList.rawValue, at: info &+ Offset.moduleList)
            // A module: address, size, command line, 8 bytes reserved.
            try memory.store(initrd.lowerBound.rawValue, at: BootLayout.moduleList)
            let size = initrd.upperBound.rawValue &- initrd.lowerBound.rawValue
            try memory.store(size, at: BootLayout.moduleList &+ 8)
        }

        let lines = memoryMap.prefix(Self.maximumMapCount)
        try memory.store(BootLayout.memoryMap.rawValue, at: info &+ Offset.memoryMap)
        try memory.store(UInt32(lines.count), at: info &+ Offset.mapCount)
        for (index, line) in lines.enumerated() {
            let address = BootLayout.memoryMap &+ UInt64(index) * Self.mapEntrySize
            try memory.store(line.range.lowerBound.rawValue, at: address)
            try memory.store(line.size, at: address &+ 8)
            try memory.store(line.kind.rawValue, at: address &+ 16)
        }
    }
}
