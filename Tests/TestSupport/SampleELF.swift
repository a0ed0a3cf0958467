@testable import Boot
@testable import Counters

/// A small ELF file for x86-64 with two segments and a PVH note.
struct SampleELF {
    struct Segment {
        var type: UInt32 = 1
        var address: UInt64
        var bytes: [UInt8]
        var memorySize: UInt64
    }

    var fileClass: UInt8 = 2
    var encoding: UInt8 = 1
    var type: UInt16 = 2
    var machine: UInt16 = 62
    var entry: UInt64 = 0x10_0040
    /// The bytes of the note's content: 8 as Linux has it, 4 as Xen defines it.
    var entrySize = 8
    var noteName = "Xen"
    var noteType: UInt32 = 18
    var segments = [
        Segment(address: 0x10_0000, bytes: SampleBzImage.pattern(count: 0x800), memorySize: 0x1000),
        Segment(address: 0x20_0000, bytes: SampleBzImage.pattern(count: 0x300), memorySize: 0x4000),
    ]

    static let headerSize = 64
    static let entryHeaderSize = 56

    /// Two notes: one of another kind before the one that counts.
    private var notes: [UInt8] {
        Self.note(name: "GNU", type: 3, content: [1, 2, 3, 4, 5])
            + Self.note(name: noteName, type: noteType, content: Self.littleEndian(entry, entrySize))
    }

    private static func note(name: String, type: UInt32, content: [UInt8]) -> [UInt8] {
        let name = [UInt8](name.utf8) + [0]
        var bytes = littleEndian(UInt64(name.count), 4) + littleEndian(UInt64(content.count), 4)
        bytes += littleEndian(UInt64(type), 4)
        for part in [name, content] {
            bytes += part + [UInt8](repeating: 0, count: (4 - part.count % 4) % 4)
        }
        return bytes
    }

    private static func littleEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    var bytes: [UInt8] {
        let all = segments + [Segment(type: 4, address: 0, bytes: notes, memorySize: 0)]
        var bytes = [UInt8](repeating: 0, count: Self.headerSize + all.count * Self.entryHeaderSize)
        bytes.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, fileClass, encoding, 1])
        let isBig = encoding == 2
        bytes.set(isBig ? type.byteSwapped : type, at: 16)
        bytes.set(isBig ? machine.byteSwapped : machine, at: 18)
        bytes.set(UInt64(Self.headerSize), at: 32)
        bytes.set(UInt16(Self.entryHeaderSize), at: 54)
        bytes.set(UInt16(all.count), at: 56)
        for (index, segment) in all.enumerated() {
            let header = Self.headerSize + index * Self.entryHeaderSize
            bytes.set(segment.type, at: header)
            bytes.set(UInt64(bytes.count), at: header + 8)
            bytes.set(segment.address, at: header + 24)
            bytes.set(UInt64(segment.bytes.count), at: header + 32)
            bytes.set(segment.memorySize, at: header + 40)
            bytes += segment.bytes
        }
        return bytes
    }

    var file: ImageFile { ImageFile(path: "vmlinux", bytes: bytes) }
}
