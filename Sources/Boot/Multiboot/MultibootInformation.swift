import Devices
import Memory

/// What a Multiboot kernel is told when it is entered.
struct MultibootInformation {
    /// A file in memory.
    struct Module {
        let range: Range<GuestPhysicalAddress>
        let text: [UInt8]
    }

    /// The section headers of the kernel's file.
    struct Sections {
        let count: UInt32
        /// The bytes of a header.
        let entrySize: UInt32
        /// Which section holds the names.
        let namesIndex: UInt32
        let table: [UInt8]
    }

    /// The command line, without the terminating zero.
    let commandLine: [UInt8]
    let modules: [Module]
    let memoryMap: [MemoryMapEntry]
    /// The end of the memory that begins at 1 MiB.
    let extendedMemoryEnd: UInt64
    /// Whether there is a text screen.
    let hasScreen: Bool
    /// The bytes of the ACPI tables' root; none where there are no tables.
    let acpiRoot: [UInt8]
    /// Where the kernel was loaded, if it is to be told.
    let loadAddress: UInt64?
    /// The kernel's sections, if it is to be told.
    let sections: Sections?

    private static let loaderName = Array("MiniVMM".utf8)

    /// KiB from 0, and from 1 MiB, as both versions count them.
    private var lowerMemory: UInt32 { UInt32(truncatingIfNeeded: BootLayout.conventionalMemoryEnd.rawValue >> 10) }
    private var upperMemory: UInt32 {
        let start = BootLayout.extendedMemory.rawValue
        return UInt32(clamping: (max(extendedMemoryEnd, start) - start) >> 10)
    }

    /// The text screen as a frame buffer: 80 by 25 characters of 16 bits, which type 2 is.
    private enum Screen {
        static let address = TextScreen.start.rawValue
        static let columns = UInt32(TextScreen.columns)
        static let rows = UInt32(TextScreen.rows)
        /// The bytes of a row.
        static let pitch = columns * UInt32(bitsPerCharacter / 8)
        static let bitsPerCharacter: UInt8 = 16
        static let typeText: UInt8 = 2
    }

    /// Bytes that stand at an address, which is not 0.
    struct Block {
        let start: UInt64
        private(set) var bytes: [UInt8] = []

        init(at start: UInt64) {
            self.start = start
        }

        /// Appends bytes at a multiple of 8, and returns their address.
        mutating func add(_ new: [UInt8]) -> UInt32 {
            bytes += [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
            defer { bytes += new }
            return UInt32(truncatingIfNeeded: start &+ UInt64(bytes.count))
        }
    }

    /// Writes the information of a version behind what a block holds already.
    ///
    /// - Returns: Where it begins.
    func write(_ version: MultibootVersion, to block: inout Block) -> UInt32 {
        version == .one ? writeTable(to: &block) : block.add(tags)
    }

    // MARK: Multiboot

    /// Source: GNU, "Multiboot Specification version 0.6.96", "Boot information format".
    private enum Offset {
        static let flags: UInt64 = 0
        static let lowerMemory: UInt64 = 4
        static let upperMemory: UInt64 = 8
        static let commandLine: UInt64 = 16
        static let moduleCount: UInt64 = 20
        static let modules: UInt64 = 24
        static let sectionCount: UInt64 = 28
        static let sectionSize: UInt64 = 32
        static let sections: UInt64 = 36
        static let sectionNames: UInt64 = 40
        static let memoryMapSize: UInt64 = 44
        static let memoryMap: UInt64 = 48
        static let loaderName: UInt64 = 64
        static let screenAddress: UInt64 = 88
        static let screenPitch: UInt64 = 96
        static let screenColumns: UInt64 = 100
        static let screenRows: UInt64 = 104
        static let screenBits: UInt64 = 108
        static let screenType: UInt64 = 109
        static let size = 116
    }

    private enum Flag {
        static let memory: UInt32 = 1 << 0
        static let commandLine: UInt32 = 1 << 2
        static let modules: UInt32 = 1 << 3
        static let sections: UInt32 = 1 << 5
        static let memoryMap: UInt32 = 1 << 6
        static let loaderName: UInt32 = 1 << 9
        static let screen: UInt32 = 1 << 12
    }

    private func writeTable(to block: inout Block) -> UInt32 {
        var list: [UInt8] = []
        for module in modules {
            list.append(integer: Self.low(module.range.lowerBound))
            list.append(integer: Self.low(module.range.upperBound))
            list.append(integer: block.add(module.text + [0]))
            list.append(integer: UInt32(0))
        }
        var map: [UInt8] = []
        for line in memoryMap {
            // The size of what follows it.
            map.append(integer: UInt32(20))
            map.append(integer: line.range.lowerBound.rawValue)
            map.append(integer: line.size)
            map.append(integer: line.kind.rawValue)
        }
        var table = [UInt8](repeating: 0, count: Offset.size)
        func set(_ value: some FixedWidthInteger & BitwiseCopyable, _ offset: UInt64) {
            var bytes: [UInt8] = []
            bytes.append(integer: value)
            table.replaceSubrange(Int(offset)..<(Int(offset) + bytes.count), with: bytes)
        }
        var flags = Flag.memory | Flag.commandLine | Flag.modules | Flag.memoryMap | Flag.loaderName
        set(lowerMemory, Offset.lowerMemory)
        set(upperMemory, Offset.upperMemory)
        set(block.add(commandLine + [0]), Offset.commandLine)
        set(UInt32(modules.count), Offset.moduleCount)
        set(block.add(list), Offset.modules)
        set(UInt32(map.count), Offset.memoryMapSize)
        set(block.add(map), Offset.memoryMap)
        set(block.add(Self.loaderName + [0]), Offset.loaderName)
        if let sections {
            flags |= Flag.sections
            set(sections.count, Offset.sectionCount)
            set(sections.entrySize, Offset.sectionSize)
            set(block.add(sections.table), Offset.sections)
            set(sections.namesIndex, Offset.sectionNames)
        }
        if hasScreen {
            flags |= Flag.screen
            set(Screen.address, Offset.screenAddress)
            set(Screen.pitch, Offset.screenPitch)
            set(Screen.columns, Offset.screenColumns)
            set(Screen.rows, Offset.screenRows)
            set(Screen.bitsPerCharacter, Offset.screenBits)
            set(Screen.typeText, Offset.screenType)
        }
        set(flags, Offset.flags)
        return block.add(table)
    }

    private static func low(_ address: GuestPhysicalAddress) -> UInt32 {
        UInt32(truncatingIfNeeded: address.rawValue)
    }

    // MARK: Multiboot 2

    /// Source: GNU, "Multiboot2 Specification version 2.0", "Boot information format".
    private enum Tag {
        static let end: UInt32 = 0
        static let commandLine: UInt32 = 1
        static let loaderName: UInt32 = 2
        static let module: UInt32 = 3
        static let memory: UInt32 = 4
        static let memoryMap: UInt32 = 6
        static let screen: UInt32 = 8
        static let sections: UInt32 = 9
        static let acpiRoot: UInt32 = 15
        static let loadAddress: UInt32 = 21
    }

    private static func tag(_ type: UInt32, _ content: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(integer: type)
        bytes.append(integer: UInt32(8 + content.count))
        bytes += content
        return bytes + [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
    }

    private static func tag(_ type: UInt32, numbers: [UInt32], _ rest: [UInt8] = []) -> [UInt8] {
        var content: [UInt8] = []
        for number in numbers { content.append(integer: number) }
        return tag(type, content + rest)
    }

    private var tags: [UInt8] {
        var tags = Self.tag(Tag.commandLine, commandLine + [0]) + Self.tag(Tag.loaderName, Self.loaderName + [0])
        for module in modules {
            tags += Self.tag(
                Tag.module, numbers: [Self.low(module.range.lowerBound), Self.low(module.range.upperBound)],
                module.text + [0])
        }
        tags += Self.tag(Tag.memory, numbers: [lowerMemory, upperMemory])
        var map: [UInt8] = []
        for line in memoryMap {
            map.append(integer: line.range.lowerBound.rawValue)
            map.append(integer: line.size)
            map.append(integer: line.kind.rawValue)
            map.append(integer: UInt32(0))
        }
        // The size of an entry, and the version.
        tags += Self.tag(Tag.memoryMap, numbers: [24, 0], map)
        if hasScreen {
            var screen: [UInt8] = []
            screen.append(integer: Screen.address)
            for number in [Screen.pitch, Screen.columns, Screen.rows] { screen.append(integer: number) }
            // Two bytes are reserved.
            tags += Self.tag(Tag.screen, screen + [Screen.bitsPerCharacter, Screen.typeText, 0, 0])
        }
        if let sections {
            tags += Self.tag(
                Tag.sections, numbers: [sections.count, sections.entrySize, sections.namesIndex], sections.table)
        }
        if !acpiRoot.isEmpty { tags += Self.tag(Tag.acpiRoot, acpiRoot) }
        if let loadAddress { tags += Self.tag(Tag.loadAddress, numbers: [UInt32(truncatingIfNeeded: loadAddress)]) }
        tags += Self.tag(Tag.end, [])
        var bytes: [UInt8] = []
        // The size of all of it, and four bytes reserved.
        bytes.append(integer: UInt32(8 + tags.count))
        bytes.append(integer: UInt32(0))
        return bytes + tags
    }
}
