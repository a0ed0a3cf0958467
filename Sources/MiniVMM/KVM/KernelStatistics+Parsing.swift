import CKVM

extension KernelStatistics {
    /// Reads statistics out of the bytes of the file that KVM_GET_STATS_FD gives.
    ///
    /// Nothing in the bytes is trusted: every offset, size and count is checked against what is there.
    ///
    /// - Throws: ``KernelStatisticsDamage`` when the parts do not fit together.
    init(parsing bytes: [UInt8]) throws(KernelStatisticsDamage) {
        let file = Bytes(bytes)
        let header = try file.header()
        let nameSize = UInt64(header.name_size)
        identifier = try file.text(at: UInt64(header.id_offset), size: nameSize, part: "the identifier")
        statistics = try file.descriptorOffsets(header).map { offset throws(KernelStatisticsDamage) in
            try file.statistic(at: offset, nameSize: nameSize, dataOffset: UInt64(header.data_offset))
        }
    }

    /// Where in the file the first number of a statistic stands, or nil when there is none of that name.
    ///
    /// - Throws: ``KernelStatisticsDamage`` when the parts do not fit together.
    static func offset(of name: String, in bytes: [UInt8]) throws(KernelStatisticsDamage) -> UInt64? {
        let file = Bytes(bytes)
        let header = try file.header()
        for offset in try file.descriptorOffsets(header) {
            guard let descriptor = file.load(ckvm_stats_descriptor.self, at: offset) else {
                throw .outOfBounds("a descriptor")
            }
            let nameOffset = offset + UInt64(MemoryLayout<ckvm_stats_descriptor>.size)
            let found = try file.text(at: nameOffset, size: UInt64(header.name_size), part: "a name")
            if found == name { return UInt64(header.data_offset) + UInt64(descriptor.offset) }
        }
        return nil
    }

    /// Bytes with checked access.
    private struct Bytes {
        private let bytes: [UInt8]

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
        }

        /// Whether `size` bytes at `offset` are there.
        func contains(_ offset: UInt64, size: UInt64) -> Bool {
            let count = UInt64(bytes.count)
            return offset <= count && size <= count - offset
        }

        /// A value in the processor's byte order, or nil when it is not all there.
        func load<Value: BitwiseCopyable>(_ type: Value.Type, at offset: UInt64) -> Value? {
            guard contains(offset, size: UInt64(MemoryLayout<Value>.size)) else { return nil }
            return bytes.withUnsafeBytes { buffer in
                // Sound: the bytes were just checked to be there, and any bytes are a valid value of the C structures and
                // integers that this is used for. The offset is at most the array's count.
                buffer.loadUnaligned(fromByteOffset: Int(offset), as: type)
            }
        }

        func header() throws(KernelStatisticsDamage) -> kvm_stats_header {
            guard let header = load(kvm_stats_header.self, at: 0) else { throw .shortHeader }
            return header
        }

        /// Where the descriptors stand.
        func descriptorOffsets(_ header: kvm_stats_header) throws(KernelStatisticsDamage) -> [UInt64] {
            // The header's numbers have 32 bits: their sums fit in 64, and their products need not.
            let stride = UInt64(MemoryLayout<ckvm_stats_descriptor>.size) + UInt64(header.name_size)
            let (size, overflow) = UInt64(header.num_desc).multipliedReportingOverflow(by: stride)
            guard !overflow, contains(UInt64(header.desc_offset), size: size) else {
                throw .outOfBounds("a descriptor")
            }
            return (0..<UInt64(header.num_desc)).map { UInt64(header.desc_offset) + $0 * stride }
        }

        /// A text that ends with a zero within `size` bytes.
        func text(at offset: UInt64, size: UInt64, part: String) throws(KernelStatisticsDamage) -> String {
            guard contains(offset, size: size) else { throw .outOfBounds(part) }
            let field = bytes[Int(offset)..<Int(offset + size)]
            guard let end = field.firstIndex(of: 0) else { throw .unterminatedName }
            return String(decoding: field[..<end], as: UTF8.self)
        }

        /// The statistic whose descriptor is at an offset.
        func statistic(
            at offset: UInt64, nameSize: UInt64, dataOffset: UInt64
        ) throws(KernelStatisticsDamage) -> KernelStatistic {
            guard let descriptor = load(ckvm_stats_descriptor.self, at: offset) else {
                throw .outOfBounds("a descriptor")
            }
            let nameOffset = offset + UInt64(MemoryLayout<ckvm_stats_descriptor>.size)
            let name = try text(at: nameOffset, size: nameSize, part: "a name")
            return KernelStatistic(
                name: name,
                kind: KernelStatistic.Kind(flags: descriptor.flags, bucketSize: descriptor.bucket_size),
                unit: KernelStatistic.Unit(flags: descriptor.flags),
                exponent: Int(descriptor.exponent),
                base: KernelStatistic.Base(flags: descriptor.flags),
                values: try values(at: dataOffset + UInt64(descriptor.offset), count: UInt64(descriptor.size), of: name)
            )
        }

        /// Numbers of 64 bits in a row.
        private func values(
            at offset: UInt64, count: UInt64, of name: String
        ) throws(KernelStatisticsDamage) -> [UInt64] {
            let size = UInt64(MemoryLayout<UInt64>.size)
            var values: [UInt64] = []
            for index in 0..<count {
                guard let value = load(UInt64.self, at: offset + index * size) else {
                    throw .outOfBounds("a number of \(name)")
                }
                values.append(value)
            }
            return values
        }
    }
}
