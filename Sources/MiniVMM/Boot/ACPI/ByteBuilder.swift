/// Bytes in the making: integers little-endian, text in ASCII.
struct ByteBuilder: Sendable {
    private(set) var bytes: [UInt8] = []

    /// Adds an integer of its type's width.
    mutating func add<Value: FixedWidthInteger>(_ value: Value) {
        var rest = value
        for _ in 0..<(Value.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest = Value.bitWidth > 8 ? rest >> 8 : 0
        }
    }

    /// Adds bytes as they are.
    mutating func add(_ more: [UInt8]) {
        bytes.append(contentsOf: more)
    }

    /// Adds text in a field of fixed length: cut off, or filled up with spaces.
    mutating func add(_ text: String, length: Int) {
        let characters = Array(text.utf8.prefix(length))
        bytes.append(contentsOf: characters)
        addRepeated(UInt8(ascii: " "), count: length - characters.count)
    }

    /// Adds zeros.
    mutating func addZeros(_ count: Int) {
        addRepeated(0, count: count)
    }

    /// Adds zeros until the length is a multiple of something.
    mutating func pad(toMultipleOf unit: Int) {
        while bytes.count % unit != 0 { bytes.append(0) }
    }

    /// Puts a byte in the place of another, if that exists.
    mutating func replace(at place: Int, with byte: UInt8) {
        guard bytes.indices.contains(place) else { return }
        bytes[place] = byte
    }

    private mutating func addRepeated(_ byte: UInt8, count: Int) {
        bytes.append(contentsOf: repeatElement(byte, count: max(0, count)))
    }

    /// The byte that makes the sum of all bytes, and itself, 0 modulo 256.
    static func checksum(of bytes: some Sequence<UInt8>) -> UInt8 {
        bytes.reduce(0) { $0 &- $1 }
    }
}
