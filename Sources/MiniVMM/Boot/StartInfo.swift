/// `hvm_start_info` and the lists that it points to: by them a kernel that is entered the PVH way learns what it was
/// given.
///
/// Source: Xen, public/arch-x86/hvm/start_info.h.
struct StartInfo {
    /// Where the initrd was loaded, if there is one.
    let initrd: Range<GuestPhysicalAddress>?
    /// Where the ACPI tables' root pointer is, if there are tables.
    let acpiRootPointer: GuestPhysicalAddress?
    /// Where memory is; at most ``greatestMapCount`` lines.
    let memoryMap: [MemoryMapEntry]

    enum Offset {
        static let magic: UInt64 = 0
        static let version: UInt64 = 4
        static let moduleCount: UInt64 = 12
        static let moduleList: UInt64 = 16
        static let commandLine: UInt64 = 24
        static let acpiRootPointer: UInt64 = 32
        static let memoryMap: UInt64 = 40
        static let mapCount: UInt64 = 48
    }

    /// XEN_HVM_START_MAGIC_VALUE.
    static let magic: UInt32 = 0x336e_c578
    /// The first version that has the memory map.
    static let version: UInt32 = 1
    /// A line: address, size, kind, 4 bytes reserved.
    static let mapEntrySize: UInt64 = 24
    /// The lines up to the end of the page.
    static let greatestMapCount = Int(
        (GuestMemory.pageSize - BootLayout.memoryMap.rawValue % GuestMemory.pageSize) / mapEntrySize)

    /// Writes the page.
    func write(to memory: GuestMemory) throws(GuestMemoryError) {
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

        let lines = memoryMap.prefix(Self.greatestMapCount)
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
