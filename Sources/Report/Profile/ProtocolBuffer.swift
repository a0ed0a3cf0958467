/// A message in the encoding of protocol buffers, as far as profiles need it.
///
/// Source: protobuf.dev, "Encoding".
package struct ProtocolBuffer {
    package private(set) var bytes: [UInt8] = []

    /// An empty message.
    package init() {}

    /// Adds a number.
    package mutating func add(_ field: UInt64, _ value: UInt64) {
        append(field << 3)
        append(value)
    }

    /// Adds bytes, such as a text.
    package mutating func add(_ field: UInt64, _ value: [UInt8]) {
        append(field << 3 | 2)
        append(UInt64(value.count))
        bytes += value
    }

    /// Adds a message.
    package mutating func add(_ field: UInt64, _ message: ProtocolBuffer) {
        add(field, message.bytes)
    }

    /// Adds several numbers of one field.
    package mutating func add(_ field: UInt64, packed values: [UInt64]) {
        var packed = ProtocolBuffer()
        for value in values { packed.append(value) }
        add(field, packed.bytes)
    }

    /// Seven bits a byte, the lowest first; all but the last have bit 7.
    private mutating func append(_ value: UInt64) {
        var rest = value
        while rest > 0x7f {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}

/// Files of gzip.
package enum Gzip {
    /// The bytes in a file of gzip, as they are: uncompressed blocks.
    ///
    /// Source: RFC 1952; RFC 1951, section 3.2.4.
    package static func stored(_ content: [UInt8]) -> [UInt8] {
        // Deflate, no flags, no time, an unknown system.
        var bytes: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]
        var start = 0
        repeat {
            let end = min(start + maximumBlock, content.count)
            let length = UInt16(end - start)
            bytes.append(end == content.count ? 1 : 0)
            for word in [length, ~length] { append(UInt32(word), byteCount: 2, to: &bytes) }
            bytes += content[start..<end]
            start = end
        } while start < content.count
        append(checksum(content), byteCount: 4, to: &bytes)
        append(UInt32(truncatingIfNeeded: content.count), byteCount: 4, to: &bytes)
        return bytes
    }

    private static let maximumBlock = 0xffff

    private static func append(_ value: UInt32, byteCount: UInt32, to bytes: inout [UInt8]) {
        for index in 0..<byteCount { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }

    /// CRC-32. Source: RFC 1952, section 8.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { sum, byte in
            table[Int(truncatingIfNeeded: (sum ^ UInt32(byte)) & 0xff)] ^ sum >> 8
        }
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1 }
    }
}
