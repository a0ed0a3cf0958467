@testable import Boot

/// A small bzImage: a boot sector, setup sectors, and a protected-mode part of recognizable bytes.
struct SampleBzImage {
    var version: UInt16 = 0x020f
    var setupSectors: UInt8 = 2
    var loadFlags: UInt8 = 1
    var extendedLoadFlags: UInt16 = 0x3
    var isRelocatable: UInt8 = 1
    var alignment: UInt32 = 0x20_0000
    var preferredAddress: UInt64 = 0x100_0000
    var runtimeSize: UInt32 = 0x20_0000
    var maximumInitrdAddress: UInt32 = 0x7fff_ffff
    var commandLineSize: UInt32 = 2047
    var payload = SampleBzImage.pattern(count: 0x1000)
    /// The stated size of the protected-mode part in units of 16 bytes; nil for the true one.
    var paragraphs: UInt32?

    static func pattern(count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    }

    var bytes: [UInt8] {
        let sectors = setupSectors == 0 ? 4 : Int(setupSectors)
        var bytes = [UInt8](repeating: 0, count: (sectors + 1) * 512)
        bytes[0x1f1] = setupSectors
        bytes.set(paragraphs ?? UInt32(payload.count / 16), at: 0x1f4)
        bytes.set(UInt16(0xaa55), at: 0x1fe)
        // JMP to 0x26c, where the code behind the header starts.
        bytes.set(UInt16(0x6aeb), at: 0x200)
        bytes.set(UInt32(0x5372_6448), at: 0x202)
        bytes.set(version, at: 0x206)
        bytes[0x211] = loadFlags
        bytes.set(UInt32(0x10_0000), at: 0x214)
        bytes.set(maximumInitrdAddress, at: 0x22c)
        bytes.set(alignment, at: 0x230)
        bytes[0x234] = isRelocatable
        bytes.set(extendedLoadFlags, at: 0x236)
        bytes.set(commandLineSize, at: 0x238)
        bytes.set(preferredAddress, at: 0x258)
        bytes.set(runtimeSize, at: 0x260)
        // What must not be taken for a part of the header.
        bytes.set(UInt32.max, at: 0x26c)
        return bytes + payload
    }

    var file: ImageFile { ImageFile(path: "bzImage", bytes: bytes) }
}

extension [UInt8] {
    mutating func set(_ value: some FixedWidthInteger & UnsignedInteger, at offset: Int) {
        for index in 0..<(value.bitWidth / 8) {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
        }
    }
}
