/// Integers in the bytes of a file. Every format that MiniVMM loads is little-endian.
extension [UInt8] {
    /// The integer at an offset, or nil when it is not wholly inside.
    func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self,
        at offset: UInt64
    ) -> Value? {
        guard let start = Int(exactly: offset), start <= count, count &- start >= MemoryLayout<Value>.size
        else { return nil }
        return withUnsafeBytes { bytes in
            // Sound: the check covers every byte of Value, and an unaligned load of a bitwise-copyable type is defined.
            Value(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: Value.self))
        }
    }

    /// The bytes of a range, or nil when it is not wholly inside.
    func part(at offset: UInt64, count size: UInt64) -> ArraySlice<UInt8>? {
        let (end, overflow) = offset.addingReportingOverflow(size)
        guard !overflow, end <= UInt64(count) else { return nil }
        // Both are at most `count`, which is an Int.
        return self[Int(offset)..<Int(end)]
    }

    /// Whether the bytes at an offset are these.
    func hasBytes(_ expected: [UInt8], at offset: Int) -> Bool {
        part(at: UInt64(offset), count: UInt64(expected.count))?.elementsEqual(expected) ?? false
    }

    /// Appends an integer, little-endian.
    mutating func append(integer value: some FixedWidthInteger & BitwiseCopyable) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
