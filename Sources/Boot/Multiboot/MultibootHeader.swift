/// Which Multiboot a kernel is made for.
public enum MultibootVersion: Hashable, Sendable {
    /// Multiboot, versions 0.6.93 to 0.6.96.
    case one
    /// Multiboot 2.
    case two
}

/// The header by which a kernel says that it is to be loaded the Multiboot way, and what it asks for.
///
/// Source: GNU, "Multiboot Specification version 0.6.96", "The layout of Multiboot header"; "Multiboot2 Specification
/// version 2.0", "Multiboot2 header".
struct MultibootHeader: Hashable, Sendable {
    /// Where a kernel that is no ELF file, or does not want to be taken for one, is loaded.
    struct Addresses: Hashable, Sendable {
        /// Where the header itself goes.
        let header: UInt32
        /// Where what is loaded begins; nil for the file's first byte.
        let loadStart: UInt32?
        /// Where it ends; 0 for the file's last byte.
        let loadEnd: UInt32
        /// Where the zeros behind it end; 0 for none.
        let zeroEnd: UInt32
    }

    /// Whose header it is.
    let version: MultibootVersion
    /// Where in the file it begins.
    let offset: UInt64

    /// Finds the header that a file has, whatever it asks for.
    static func find(in bytes: [UInt8]) -> MultibootHeader? {
        // A file of a known format may hold such a kernel, without being one.
        guard FileSignature.first(in: bytes) == nil else { return nil }
        return first(.one, in: bytes) ?? first(.two, in: bytes)
    }

    /// What `EAX` holds when the kernel is entered.
    var entryMagic: UInt32 { version == .one ? 0x2bad_b002 : 0x36d7_6289 }

    private static func first(_ version: MultibootVersion, in bytes: [UInt8]) -> MultibootHeader? {
        let layout = Layout(version)
        for offset in stride(from: 0, to: min(layout.searched, UInt64(bytes.count)), by: Int(layout.alignment)) {
            guard bytes.integer(UInt32.self, at: offset) == layout.magic else { continue }
            var sum: UInt32 = 0
            var isWhole = offset + layout.size <= layout.searched
            for field in stride(from: offset, to: offset + layout.size, by: 4) {
                guard let value = bytes.integer(UInt32.self, at: field) else {
                    isWhole = false
                    break
                }
                sum &+= value
            }
            if isWhole, sum == 0 { return MultibootHeader(version: version, offset: offset) }
        }
        return nil
    }

    /// The part of a header that its checksum covers.
    private struct Layout {
        let magic: UInt32
        let alignment: UInt64
        /// The bytes of the file in which the header has to lie.
        let searched: UInt64
        let size: UInt64

        init(_ version: MultibootVersion) {
            switch version {
            case .one: (magic, alignment, searched, size) = (0x1bad_b002, 4, 8192, 12)
            case .two: (magic, alignment, searched, size) = (0xe852_50d6, 8, 32768, 16)
            }
        }
    }
}

/// What a kernel asks for by its Multiboot header.
struct MultibootRequest: Hashable, Sendable {
    /// Where it is loaded, if not by its ELF headers.
    var addresses: MultibootHeader.Addresses?
    /// Where it is entered, if not where the ELF header says.
    var entry: UInt32?
    /// Whether it could be loaded elsewhere. It is not; but such a kernel is told where it is.
    var isRelocatable = false

    /// Why a kernel cannot have what it asks for.
    enum Problem: Error, Hashable {
        /// The header contradicts itself or the file. A sentence without its full stop.
        case damaged(String)
        /// It asks for something that MiniVMM does not have. Goes on a sentence that begins with "it".
        case refused(String)
    }

    /// Reads what stands behind the part of a header that was found.
    init(_ header: MultibootHeader, in bytes: [UInt8]) throws(Problem) {
        switch header.version {
        case .one: try readFlags(header, bytes)
        case .two: try readTags(header, bytes)
        }
    }

    private static let wantsGraphics = Problem.refused("asks for a graphics mode, and MiniVMM has none")

    // MARK: Multiboot

    /// Source: the same, "Header magic fields", "Header address fields", "Header graphics fields".
    private mutating func readFlags(_ header: MultibootHeader, _ bytes: [UInt8]) throws(Problem) {
        func field(_ offset: UInt64) throws(Problem) -> UInt32 {
            guard let value = bytes.integer(UInt32.self, at: header.offset + offset)
            else { throw .damaged("it ends inside its Multiboot header") }
            return value
        }
        let flags = try field(4)
        // Bits 0 and 1: modules on pages, and information on memory; both always given. Bit 2: a video mode.
        guard flags & 0xfff8 == 0 else {
            throw .refused("asks by its Multiboot flags for what Multiboot does not define")
        }
        if flags & 1 << 16 != 0 {
            addresses = MultibootHeader.Addresses(
                header: try field(12), loadStart: try field(16), loadEnd: try field(20), zeroEnd: try field(24))
            entry = try field(28)
        }
        // A mode of type 1 is text.
        if flags & 1 << 2 != 0, try field(32) == 0 { throw Self.wantsGraphics }
    }

    // MARK: Multiboot 2

    private enum Tag {
        static let end: UInt16 = 0
        static let information: UInt16 = 1
        static let addresses: UInt16 = 2
        static let entry: UInt16 = 3
        static let console: UInt16 = 4
        static let framebuffer: UInt16 = 5
        static let moduleAlignment: UInt16 = 6
        static let efiBootServices: UInt16 = 7
        static let efiEntry32: UInt16 = 8
        static let efiEntry64: UInt16 = 9
        static let relocatable: UInt16 = 10
        /// Type, flags and size.
        static let headerSize: UInt64 = 8
        static let isOptional: UInt16 = 1
    }

    /// The last kind of information that Multiboot 2 defines: the address where the image was loaded.
    private static let lastInformation: UInt32 = 21
    /// "i386": the processor in protected mode.
    private static let architecture: UInt32 = 0

    private mutating func readTags(_ header: MultibootHeader, _ bytes: [UInt8]) throws(Problem) {
        guard let architecture = bytes.integer(UInt32.self, at: header.offset + 4),
            let length = bytes.integer(UInt32.self, at: header.offset + 8),
            bytes.part(at: header.offset, count: UInt64(length)) != nil
        else { throw .damaged("it ends inside its Multiboot 2 header") }
        guard architecture == Self.architecture else { throw .refused("is made for another processor than x86") }
        let end = header.offset + UInt64(length)
        var position = header.offset + 16
        while position + Tag.headerSize <= end {
            guard let type = bytes.integer(UInt16.self, at: position),
                let flags = bytes.integer(UInt16.self, at: position + 2),
                let size = bytes.integer(UInt32.self, at: position + 4)
            else { return }
            if type == Tag.end { return }
            guard size >= Tag.headerSize, position + UInt64(size) <= end
            else { throw .damaged("a tag of its Multiboot 2 header passes the header's end") }
            try readTag(type, isOptional: flags & Tag.isOptional != 0, bytes, position..<(position + UInt64(size)))
            // The sum stays inside the header but for the 7 bytes to the next multiple of 8.
            position += (UInt64(size) + 7) & ~7
        }
    }

    private mutating func readTag(
        _ type: UInt16, isOptional: Bool, _ bytes: [UInt8], _ range: Range<UInt64>
    ) throws(Problem) {
        func field(_ index: UInt64) throws(Problem) -> UInt32 {
            let offset = range.lowerBound + Tag.headerSize + 4 * index
            guard offset + 4 <= range.upperBound, let value = bytes.integer(UInt32.self, at: offset)
            else { throw .damaged("a tag of its Multiboot 2 header is too short") }
            return value
        }
        switch type {
        case Tag.information:
            for index in 0..<(range.upperBound - range.lowerBound - Tag.headerSize) / 4 {
                let wanted = try field(index)
                if wanted > Self.lastInformation, !isOptional {
                    throw .refused("asks for information of kind \(wanted), which Multiboot 2 does not define")
                }
            }
        case Tag.addresses:
            let start = try field(1)
            addresses = MultibootHeader.Addresses(
                header: try field(0), loadStart: start == .max ? nil : start, loadEnd: try field(2),
                zeroEnd: try field(3))
        case Tag.entry: entry = try field(0)
        case Tag.framebuffer:
            // A depth of 0 is text, or whatever there is.
            if !isOptional, try field(2) != 0 { throw Self.wantsGraphics }
        case Tag.relocatable: isRelocatable = true
        // There is no EFI here, for which these are; modules are always on pages; a console is there.
        case Tag.efiBootServices, Tag.efiEntry32, Tag.efiEntry64, Tag.moduleAlignment, Tag.console: break
        default:
            if !isOptional { throw .refused("asks by tag \(type) for what Multiboot 2 does not define") }
        }
    }
}
