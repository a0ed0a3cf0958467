@testable import TestSupport
/// Bytes as KVM_GET_STATS_FD gives them, made up for tests.
struct SampleStatistics {
    /// A descriptor and its numbers.
    struct Entry {
        var name: String
        /// Type in bits 0 to 3, unit in bits 4 to 7, base in bits 8 to 11.
        var flags: UInt32 = 0
        var exponent: Int16 = 0
        var bucketSize: UInt32 = 0
        var values: [UInt64]
    }

    var identifier = "kvm-1/vcpu-0"
    var nameSize: UInt32 = 48
    var entries: [Entry] = []

    private static let headerSize: UInt32 = 24
    private static let descriptorSize: UInt32 = 16

    /// One entry of each type, with each unit and base.
    static let ofEveryKind = SampleStatistics(entries: [
        Entry(name: "exits", values: [23]),
        Entry(name: "pages", flags: 0x011, exponent: 20, values: [5]),
        Entry(name: "deepest", flags: 0x032, values: [7]),
        Entry(name: "waits", flags: 0x024, exponent: -9, values: [1, 2, 3, 4]),
        Entry(name: "sizes", flags: 0x113, exponent: 10, bucketSize: 100, values: [9, 8, 7]),
        Entry(name: "blocking", flags: 0x041, values: [1]),
        Entry(name: "from the future", flags: 0xabf9, values: [42]),
    ])

    /// The file: header, identifier, descriptors, numbers.
    var bytes: [UInt8] {
        let descriptorsOffset = Self.headerSize + nameSize
        let dataOffset = descriptorsOffset + UInt32(entries.count) * (Self.descriptorSize + nameSize)
        var bytes: [UInt8] = []
        for number in [0, nameSize, UInt32(entries.count), Self.headerSize, descriptorsOffset, dataOffset] {
            append(number, to: &bytes)
        }
        append(identifier, to: &bytes)
        var offset: UInt32 = 0
        for entry in entries {
            append(entry.flags, to: &bytes)
            append(entry.exponent, to: &bytes)
            append(UInt16(entry.values.count), to: &bytes)
            append(offset, to: &bytes)
            append(entry.bucketSize, to: &bytes)
            append(entry.name, to: &bytes)
            offset += UInt32(entry.values.count * 8)
        }
        for value in entries.flatMap(\.values) { append(value, to: &bytes) }
        return bytes
    }

    private func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    /// A name in its room, with zeros behind it.
    private func append(_ name: String, to bytes: inout [UInt8]) {
        let text = Array(name.utf8.prefix(Int(nameSize)))
        bytes += text + Array(repeating: 0, count: Int(nameSize) - text.count)
    }
}
