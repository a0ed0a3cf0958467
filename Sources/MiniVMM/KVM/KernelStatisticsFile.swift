import CKVM

/// The file in which KVM shows the statistics of a virtual machine or a vCPU.
///
/// Reading takes no lock of KVM's, so it may be done on any thread while the guest runs; each number is then some recent
/// value. An open file keeps the virtual machine in the kernel, even when its other owners are gone.
public final class KernelStatisticsFile: Sendable {
    private let descriptor: OwnedDescriptor

    /// How many bytes are read at a time: more than the statistics of any kernel so far, so that one call does.
    private static let chunkSize = 8192
    /// How many bytes are read at most.
    private static let greatestSize = 1 << 20

    private init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// Opens the statistics of a virtual machine or a vCPU.
    ///
    /// - Returns: nil where KVM has none (before Linux 5.14).
    /// - Throws: ``KVMError`` when the ioctl fails for another reason.
    static func open(_ owner: Int32) throws(KVMError) -> KernelStatisticsFile? {
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
    func offset(of name: String) throws(KVMError) -> Int64? {
        let bytes = try readBytes()
        do {
            return try KernelStatistics.offset(of: name, in: bytes).flatMap { Int64(exactly: $0) }
        } catch {
            throw .malformedStatistics(error.description)
        }
    }

    /// The number at an offset as it stands now, or nil when it cannot be read. Allocates nothing.
    func number(at offset: Int64) -> UInt64? {
        var number: UInt64 = 0
        let size = MemoryLayout<UInt64>.size
        // Sound: no more than the number's own bytes are asked for, and any bytes are a valid number.
        return ckvm_pread(descriptor.number, &number, size, offset) == size ? number : nil
    }

    private func readBytes() throws(KVMError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < Self.greatestSize {
            let start = bytes.count
            bytes += repeatElement(0, count: Self.chunkSize)
            let result = bytes.withUnsafeMutableBytes { buffer in
                // Sound: the slice is the chunk that was just added, and no more than its size is asked for.
                let chunk = UnsafeMutableRawBufferPointer(rebasing: buffer[start...])
                return ckvm_pread(descriptor.number, chunk.baseAddress, chunk.count, Int64(start))
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
