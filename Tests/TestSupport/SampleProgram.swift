@testable import Boot
@testable import Exec

/// A small ELF program or library with an interpreter and a dynamic section.
struct SampleProgram {
    var is64Bit = true
    var type: UInt16 = 3
    var machine: UInt16 = 62
    var interpreter: String?
    var libraries: [String] = []
    var earlyPath: String?
    var runPath: String?

    /// One for the 32-bit mode.
    static func narrow(libraries: [String] = [], interpreter: String? = nil) -> SampleProgram {
        SampleProgram(is64Bit: false, machine: 3, interpreter: interpreter, libraries: libraries)
    }

    /// Where the file is loaded: nothing stands at the address that its place in the file would suggest.
    private static let base: UInt64 = 0x40_0000

    private var format: ELFClass { is64Bit ? .wide : .narrow }
    private var headerSize: Int { is64Bit ? 64 : 52 }
    private var wordSize: Int { Int(format.wordSize) }

    /// The strings, each with its place among them.
    private struct Strings {
        var bytes: [UInt8] = [0]

        mutating func add(_ text: String) -> UInt64 {
            defer { bytes += Array(text.utf8) + [0] }
            return UInt64(bytes.count)
        }
    }

    /// The file.
    var bytes: [UInt8] {
        var strings = Strings()
        var entries: [(UInt64, UInt64)] = libraries.map { (1, strings.add($0)) }
        if let earlyPath { entries.append((15, strings.add(earlyPath))) }
        if let runPath { entries.append((29, strings.add(runPath))) }
        let interpreterBytes: [UInt8] = interpreter.map { [UInt8]($0.utf8) + [0] } ?? []

        let dynamicStart = headerSize + 3 * Int(format.entrySize)
        let dynamicSize = (entries.count + 3) * 2 * wordSize
        let stringStart = dynamicStart + dynamicSize
        let interpreterStart = stringStart + strings.bytes.count
        entries += [(5, Self.base + UInt64(stringStart)), (10, UInt64(strings.bytes.count)), (0, 0)]
        let size = interpreterStart + interpreterBytes.count

        var bytes = [UInt8](repeating: 0, count: headerSize)
        bytes.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, is64Bit ? 2 : 1, 1, 1])
        bytes.set(type, at: 16)
        bytes.set(machine, at: 18)
        set(UInt64(headerSize), at: Int(format.tableOffset), in: &bytes)
        bytes.set(UInt16(format.entrySize), at: Int(format.entrySizeOffset))
        bytes.set(UInt16(3), at: Int(format.entryCountOffset))
        bytes += segment(1, 0, size)
        bytes += segment(entries.count > 3 ? 2 : 0, dynamicStart, dynamicSize)
        bytes += segment(interpreter == nil ? 0 : 3, interpreterStart, interpreterBytes.count)
        for (tag, value) in entries { bytes += word(tag) + word(value) }
        return bytes + strings.bytes + interpreterBytes
    }

    private func segment(_ type: UInt32, _ offset: Int, _ size: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(format.entrySize))
        bytes.set(type, at: 0)
        set(UInt64(offset), at: Int(format.fileOffset), in: &bytes)
        set(Self.base + UInt64(offset), at: Int(format.virtualAddress), in: &bytes)
        set(UInt64(size), at: Int(format.fileSize), in: &bytes)
        return bytes
    }

    private func word(_ value: UInt64) -> [UInt8] {
        (0..<wordSize).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    private func set(_ value: UInt64, at offset: Int, in bytes: inout [UInt8]) {
        bytes.replaceSubrange(offset..<offset + wordSize, with: word(value))
    }
}
