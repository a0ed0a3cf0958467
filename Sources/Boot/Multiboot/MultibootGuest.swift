import Host
public import Memory

/// A guest that is a kernel of the Multiboot kind, such as the tests of KVM's own test suite.
///
/// It is entered in 32-bit protected mode without paging, with flat segments and interrupts off; EAX holds a magic
/// number and EBX the address of what it is told. Its memory is a PC's, all of it there but for what lies under the
/// interrupt controllers.
///
/// Source: GNU, "Multiboot Specification version 0.6.96" and "Multiboot2 Specification version 2.0".
public struct MultibootGuest: Guest {
    let image: MultibootImage
    /// The files that it is given, and what it is told of each.
    private let modules: [(file: ImageFile, text: [UInt8])]
    /// What it is told after the name of its own file.
    private let arguments: String
    private let memorySize: UInt64
    public let hasScreen: Bool

    /// 128 MiB, as much as other machines give where nothing else is said.
    public static let defaultMemorySize: UInt64 = 128 << 20

    /// A guest with what it is to be given.
    ///
    /// - Throws: ``GuestSettingError`` for settings of flat guests; ``ImageError`` when a module cannot be read.
    init(_ image: MultibootImage, _ settings: GuestSettings) throws {
        try settings.refuse([.loadAddress, .entry, .argument])
        self.image = image
        memorySize = settings.memorySize ?? Self.defaultMemorySize
        arguments = settings.commandLine(standard: "")
        hasScreen = settings.hasScreen
        let given = (settings.initrd.map { [GuestModule(path: $0)] } ?? []) + settings.modules
        let limit = memorySize
        modules = try given.map { module in
            let file = try ImageFile(opening: module.path, limit: limit)
            return (file, module.text.map(ForeignText.bytes) ?? Self.name(of: module.path))
        }
    }

    public var code: GuestCode { .kernel(image.code) }
    public var wantsInterruptControllers: Bool { true }
    public var wantsACPI: Bool { true }

    public func makeMemory() throws -> GuestMemory {
        try GuestMemory(layout: BootLayout.regions(memorySize: memorySize))
    }

    public func load(into memory: GuestMemory, on platform: GuestPlatform) throws -> LoadedGuest {
        try image.load(into: memory)
        var places = MultibootPlaces(taken: image.parts.map { $0.address..<$0.end }, memory)
        let loaded = try modules.map { file, text in
            MultibootInformation.Module(range: try place(file, in: memory, &places), text: text)
        }
        let information = MultibootInformation(
            commandLine: try commandLine(), modules: loaded, memoryMap: MemoryMapEntry.map(of: memory),
            extendedMemoryEnd: memory.regions.first?.end ?? 0, hasScreen: hasScreen, acpiRoot: platform.acpiRoot,
            loadAddress: image.isRelocatable ? image.range.lowerBound.rawValue : nil,
            sections: try placeSections(in: memory, &places))
        let entry = try hand(information, memory, &places)
        return LoadedGuest(entry: entry, image: image.range, initrd: loaded.first?.range)
    }

    /// The command line: first the name of the file, as a program's does.
    private func commandLine() throws(ImageError) -> [UInt8] {
        let rest = ForeignText.bytes(arguments)
        guard !rest.contains(0) else { throw .commandLineHasZero }
        // All but this much of the memory below 640 KiB is for the kernel.
        let limit = BootLayout.commandLineSize - 1
        let line = Self.name(of: image.file.path) + (rest.isEmpty ? [] : [UInt8(ascii: " ")] + rest)
        guard line.count <= limit else { throw .commandLineTooLong(size: line.count, limit: limit) }
        return line
    }

    /// The last part of a path, without what would be taken for the end of a word.
    private static func name(of path: String) -> [UInt8] {
        let last = ForeignText.bytes(path).split(separator: UInt8(ascii: "/")).last ?? []
        return last.map { $0 <= UInt8(ascii: " ") ? UInt8(ascii: "_") : $0 }
    }

    /// Loads a module on a page above the kernel, as other loaders do.
    private func place(
        _ file: ImageFile, in memory: GuestMemory, _ places: inout MultibootPlaces
    ) throws(ImageError) -> Range<GuestPhysicalAddress> {
        let size = file.size
        guard let address = places.lowest(size: size, from: BootLayout.extendedMemory.rawValue) else {
            let end = GuestPhysicalAddress(places.end)
            throw .needsMoreMemory(path: file.path, upTo: end &+ size, end: end)
        }
        let start = GuestPhysicalAddress(address)
        try file.load(0..<size, into: memory, at: start)
        return start..<(start &+ size)
    }

    /// Loads what of the kernel's sections is in no segment, on a page above the kernel and the modules.
    ///
    /// - Returns: What it is told of them; nil when it has none, or they do not fit.
    private func placeSections(
        in memory: GuestMemory, _ places: inout MultibootPlaces
    ) throws(ImageError) -> MultibootInformation.Sections? {
        guard let sections = image.sections else { return nil }
        var start = GuestPhysicalAddress(0)
        if sections.size > 0 {
            guard let address = places.lowest(size: sections.size, from: BootLayout.extendedMemory.rawValue) else {
                return nil
            }
            start = GuestPhysicalAddress(address)
            try sections.load(image.file, into: memory, at: start)
        }
        return MultibootInformation.Sections(
            count: sections.count, entrySize: sections.entrySize, namesIndex: sections.namesIndex,
            table: sections.table(at: start))
    }

    /// Writes what the kernel is told, and the table that the processor needs, where nothing else lies; and returns the
    /// state in which the kernel is entered.
    private func hand(
        _ information: MultibootInformation, _ memory: GuestMemory, _ places: inout MultibootPlaces
    ) throws(ImageError) -> EntryState {
        // Once for the size alone.
        var draft = MultibootInformation.Block(at: 0)
        _ = information.write(image.header.version, to: &draft)
        let stackSize = GuestMemory.pageSize
        let size = stackSize + DescriptorTable.size + UInt64(draft.bytes.count)
        guard
            let address = places.highest(size: size, below: BootLayout.conventionalMemoryEnd.rawValue)
                ?? places.lowest(size: size, from: BootLayout.extendedMemory.rawValue)
        else {
            let end = GuestPhysicalAddress(places.end)
            throw .needsMoreMemory(path: image.file.path, upTo: end &+ size, end: end)
        }
        let table = GuestPhysicalAddress(address) &+ stackSize
        var block = MultibootInformation.Block(at: table.rawValue &+ DescriptorTable.size)
        let start = information.write(image.header.version, to: &block)
        return try ImageError.loading(image.file.path) { () throws(GuestMemoryError) in
            try memory.write(block.bytes, at: GuestPhysicalAddress(block.start))
            var state = try EntryState.protected(
                at: image.entry, stackEnd: table, descriptorTable: table, memory: memory)
            state.rax = UInt64(image.header.entryMagic)
            state.rbx = UInt64(start)
            return state
        }
    }
}

extension MultibootGuest: GuestLoader {
    public static func probe(_ bytes: [UInt8]) -> Bool {
        MultibootHeader.find(in: bytes) != nil
    }

    public static func guest(_ file: ImageFile, _ settings: GuestSettings) throws -> any Guest {
        try MultibootGuest(MultibootImage(file), settings)
    }
}

/// Finds room beside what the kernel takes, in the first region of memory; every place is taken once it is given.
private struct MultibootPlaces {
    private var taken: [Range<UInt64>]
    /// The end of the region.
    let end: UInt64

    init(taken: [Range<UInt64>], _ memory: GuestMemory) {
        self.taken = taken
        end = memory.regions.first?.end ?? 0
    }

    private static let pageMask = GuestMemory.pageSize - 1

    /// The lowest page from an address on that has so much room behind it.
    mutating func lowest(size: UInt64, from start: UInt64) -> UInt64? {
        // Behind something that is taken, or at the start; none of the sums can wrap, for memory ends below 2^39.
        let candidates = [start] + taken.map { ($0.upperBound + Self.pageMask) & ~Self.pageMask }
        return take(candidates.filter { $0 >= start }.sorted(), size: size, below: end)
    }

    /// The highest page below an address that has so much room.
    mutating func highest(size: UInt64, below limit: UInt64) -> UInt64? {
        let limit = min(limit, end)
        let tops = [limit] + taken.map(\.lowerBound)
        let candidates = tops.filter { $0 <= limit && $0 >= size }.map { ($0 - size) & ~Self.pageMask }
        return take(candidates.filter { $0 >= GuestMemory.pageSize }.sorted(by: >), size: size, below: limit)
    }

    private mutating func take(_ candidates: [UInt64], size: UInt64, below limit: UInt64) -> UInt64? {
        let found = candidates.first { start in
            start < limit && size <= limit - start && !taken.contains { $0.overlaps(start..<(start + size)) }
        }
        guard let found else { return nil }
        taken.append(found..<(found + size))
        return found
    }
}
