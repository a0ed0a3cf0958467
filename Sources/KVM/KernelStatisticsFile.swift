import CKVM
import Host

/// The file in which KVM shows the statistics of a virtual machine or a vCPU.
///
/// Reading takes no lock of KVM's, so it may be done on any thread while the guest runs; each number is then some recent
/// value. An open file keeps the virtual machine in the kernel, even when its other owners are gone.
public final class KernelStatisticsFile: Sendable {
    private let descriptor: OwnedDescriptor

    /// How many bytes are read at a time: more than the statistics of any kernel so far, so that one call does.
    private static let chunkSize = 8192
    /// How many bytes are read at most.
    private static let maximumSize = 1 << 20

    private init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// Opens the statistics of a virtual machine or a vCPU.
    ///
    /// - Returns: nil where KVM has none (before Linux 5.14).
    /// - Throws: ``KVMError`` when the ioctl fails for another reason.
    package static func open(_ owner: Int32) throws(KVMError) -> KernelStatisticsFile? {
        let result = ckvm_get_stats_fd(owner)
        // What virtual machines and vCPUs answer to an ioctl that they do not know.
        if result == -ENOTTY || result == -EINVAL { return nil }
        guard result >= 0 else { throw .failed("KVM_GET_STATS_FD", result) }
        return KernelStatisticsFile(OwnedDescriptor(takingOver: result))
    }

    /// The statistics as they stand now.
    ///
    /// - Throws: ``KVMError`` when they cannot be read, or do not make sense.
    public func read() throws(KVMError) -> KernelStatistics {
        let bytes = try readBytes()
        do {
            return try KernelStatistics(parsing: bytes)
        } catch {
            throw .malformedStatistics(error.description)
        }
    }

    /// Where in the file the single number of a statistic stands.
    ///
    /// - Returns: nil when this kernel has no statistic of that name.
    /// - Throws: ``KVMError`` when the statistics cannot be read, or do not make sense.
    package func offset(of name: String) throws(KVMError) -> Int64? {
        let bytes = try readBytes()
        do {
            return try KernelStatistics.offset(of: name, in: bytes).flatMap { Int64(exactly: $0) }
        } catch {
            throw .malformedStatistics(error.description)
        }
    }

    /// The number at an offset as it stands now, or nil when it cannot be read. Allocates nothing.
    package func number(at offset: Int64) -> UInt64? {
        var number: UInt64 = 0
        let size = MemoryLayout<UInt64>.size
        // Sound: no more than the number's own bytes are asked for, and any bytes are a valid number.
        return unsafe ckvm_pread(descriptor.number, &number, size, offset) == size ? number : nil
    }

    private func readBytes() throws(KVMError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < Self.maximumSize {
            let start = bytes.count
            bytes += repeatElement(0, count: Self.chunkSize)
            let result = unsafe bytes.withUnsafeMutableBytes { buffer in
                // Sound: the slice is the chunk that was just added, and no more than its size is asked for.
                let chunk = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[start...])
                return unsafe ckvm_pread(descriptor.number, chunk.baseAddress, chunk.count, Int64(start))
            }
            guard result >= 0 else {
                throw .failed("pread of the statistics", Int32(truncatingIfNeeded: result))
            }
            bytes.removeLast(Self.chunkSize - result)
            if result < Self.chunkSize { return bytes }
        }
        throw .malformedStatistics(KernelStatisticsDamage.tooLong.description)
    }
}

extension VCPU {
    /// Opens KVM's own statistics of the vCPU. Waits for as long as the vCPU is in KVM_RUN on another thread.
    ///
    /// - Returns: nil where KVM has none (before Linux 5.14).
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func openKernelStatistics() throws(KVMError) -> KernelStatisticsFile? {
        try KernelStatisticsFile.open(descriptor.number)
    }

    /// KVM's own statistics of the vCPU as they stand now. Waits like ``openKernelStatistics()``.
    ///
    /// - Returns: nil where KVM has none (before Linux 5.14).
    /// - Throws: ``KVMError`` when they cannot be had, or do not make sense.
    public func kernelStatistics() throws(KVMError) -> KernelStatistics? {
        try openKernelStatistics()?.read()
    }
}

extension VirtualMachine {
    /// Opens KVM's own statistics of the virtual machine; those of its vCPUs are apart.
    ///
    /// - Returns: nil where KVM has none (before Linux 5.14).
    /// - Throws: ``KVMError`` when the ioctl fails.
    public func openKernelStatistics() throws(KVMError) -> KernelStatisticsFile? {
        try KernelStatisticsFile.open(descriptor.number)
    }

    /// KVM's own statistics of the virtual machine as they stand now; those of its vCPUs are apart.
    ///
    /// - Returns: nil where KVM has none (before Linux 5.14).
    /// - Throws: ``KVMError`` when they cannot be had, or do not make sense.
    public func kernelStatistics() throws(KVMError) -> KernelStatistics? {
        try openKernelStatistics()?.read()
    }
}

extension KernelStatistics {
    /// Reads statistics out of the bytes of the file that KVM_GET_STATS_FD gives.
    ///
    /// Nothing in the bytes is trusted: every offset, size and count is checked against what is there.
    ///
    /// - Throws: ``KernelStatisticsDamage`` when the parts do not fit together.
    package init(parsing bytes: [UInt8]) throws(KernelStatisticsDamage) {
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
    package static func offset(of name: String, in bytes: [UInt8]) throws(KernelStatisticsDamage) -> UInt64? {
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
            return unsafe bytes.withUnsafeBytes { buffer in
                // Sound: the bytes were just checked to be there, and any bytes are a valid value of the C structures and
                // integers that this is used for. The offset is at most the array's count.
                unsafe buffer.loadUnaligned(fromByteOffset: Int(offset), as: type)
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

/// What can be wrong with the bytes of KVM's statistics.
package enum KernelStatisticsDamage: Error, Hashable {
    /// They end before the header does.
    case shortHeader
    /// They go on and on.
    case tooLong
    /// A part, by its name, lies outside them.
    case outOfBounds(String)
    /// A name does not end within its room.
    case unterminatedName

    /// What is wrong, in words.
    package var description: String {
        switch self {
        case .shortHeader: "the header is cut off"
        case .tooLong: "they have no end"
        case .outOfBounds(let part): "\(part) lies outside them"
        case .unterminatedName: "a name has no end"
        }
    }
}
