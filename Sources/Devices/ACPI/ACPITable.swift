/// A table with the header that most ACPI tables share.
///
/// Source: ACPI 6.4, section 5.2.6 "System Description Table Header".
enum ACPITable {
    /// The bytes of the header.
    package static let headerSize = 36
    /// Who made the tables, and for which machine.
    static let oemID = "MINVMM"
    private static let oemTableID = "MINIVMM"
    private static let oemRevision: UInt32 = 1
    private static let creatorID = "MVMM"
    private static let creatorRevision: UInt32 = 1
    private static let checksumOffset = 9

    /// A whole table.
    ///
    /// - Parameters:
    ///   - signature: Four characters.
    ///   - revision: The revision of the table's layout.
    ///   - body: What follows the header.
    package static func bytes(signature: String, revision: UInt8, body: [UInt8]) -> [UInt8] {
        var table = ByteBuilder()
        table.add(signature, length: 4)
        table.add(UInt32(truncatingIfNeeded: headerSize + body.count))
        table.add(revision)
        table.add(UInt8(0))
        table.add(oemID, length: 6)
        table.add(oemTableID, length: 8)
        table.add(oemRevision)
        table.add(creatorID, length: 4)
        table.add(creatorRevision)
        table.add(body)
        table.replace(at: checksumOffset, with: ByteBuilder.checksum(of: table.bytes))
        return table.bytes
    }
}

/// Where a register is: the Generic Address Structure of ACPI, for registers in I/O space.
///
/// Source: ACPI 6.4, section 5.2.3.2 "Generic Address Structure".
struct ACPIGenericAddress: Hashable, Sendable {
    private static let ioSpace: UInt8 = 1

    package let port: UInt16
    package let bitWidth: UInt8
    /// How to access it: 1 by bytes, 2 by words, 3 by 32 bits.
    let accessSize: UInt8

    package static let byteCount = 12

    /// What stands for a register that does not exist.
    package static let none = [UInt8](repeating: 0, count: byteCount)

    package var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.add(Self.ioSpace)
        builder.add(bitWidth)
        builder.add(UInt8(0))
        builder.add(accessSize)
        builder.add(UInt64(port))
        return builder.bytes
    }
}

/// Bytes in the making: integers little-endian, text in ASCII.
struct ByteBuilder: Sendable {
    private(set) var bytes: [UInt8] = []

    /// Adds an integer of its type's width.
    package mutating func add<Value: FixedWidthInteger>(_ value: Value) {
        var rest = value
        for _ in 0..<(Value.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest = Value.bitWidth > 8 ? rest >> 8 : 0
        }
    }

    /// Adds bytes as they are.
    package mutating func add(_ more: [UInt8]) {
        bytes.append(contentsOf: more)
    }

    /// Adds text in a field of fixed length: cut off, or filled up with spaces.
    package mutating func add(_ text: String, length: Int) {
        let characters = Array(text.utf8.prefix(length))
        bytes.append(contentsOf: characters)
        addRepeated(UInt8(ascii: " "), count: length - characters.count)
    }

    /// Adds zeros.
    mutating func addZeros(_ count: Int) {
        addRepeated(0, count: count)
    }

    /// Adds zeros until the length is a multiple of something.
    package mutating func pad(toMultipleOf unit: Int) {
        while bytes.count % unit != 0 { bytes.append(0) }
    }

    /// Puts a byte in the place of another, if that exists.
    package mutating func replace(at place: Int, with byte: UInt8) {
        guard bytes.indices.contains(place) else { return }
        bytes[place] = byte
    }

    private mutating func addRepeated(_ byte: UInt8, count: Int) {
        bytes.append(contentsOf: repeatElement(byte, count: max(0, count)))
    }

    /// The byte that makes the sum of all bytes, and itself, 0 modulo 256.
    package static func checksum(of bytes: some Sequence<UInt8>) -> UInt8 {
        bytes.reduce(0) { $0 &- $1 }
    }
}
